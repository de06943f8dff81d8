/* request_fuzz.c - any bytes, in any pieces, from a client to a whole connection.
 *
 * The first byte of an input chooses the sizes of the pieces, the rest is what the client sends
 * before it ends its side. Everything it asked for must be answered and the connection closed in a
 * bounded number of turns. The same bytes in one piece must make the same requests and refusals:
 * what a request is may not depend on how it was cut. */
#include "../c/hub_fixture.h"
#include "base/limits.h"
#include "fuzz.h"
#include "http/answer.h"
#include "http/connection.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  STREAM_BYTES_MAX = 500,
  PIECE_BYTES_MAX = 32 * 1024, /* what a socket takes at once */
  VARIED_PIECES = 128,         /* a first byte from here on: pieces of different sizes */
  TURNS_MAX = 100000,          /* to answer one input */
};

enum route { ROUTE_SYNC, ROUTE_ECHO, ROUTE_HELD, ROUTE_ITEM, ROUTE_FILE, ROUTE_STREAM, ROUTES };

struct site {
  uv_loop_t loop;
  struct timers timers;
  struct router *router;
  struct hub hub;
  struct hub_route routes[ROUTES];
  bool statuses[HUB_STATUS_COUNT];
  struct exchange *held[PIPELINE_MAX]; /* to be answered, the last one first */
  unsigned held_count;
  struct buffer asked;    /* what is known of a request that the app is asked an answer for */
  struct buffer seen;     /* all requests, as the handler got them */
  struct buffer streamed; /* all streamed bodies that came to their end */
  struct buffer body;     /* of the one that is coming */
  struct buffer output;   /* all that the client has read */
};

static void note(struct site *site, struct slice text) {
  buffer_add(&site->seen, text.data, text.len);
  buffer_add_byte(&site->seen, '\n');
}

static void note_request(struct site *site, struct exchange *exchange) {
  assert(exchange->match.route < ROUTES);
  const struct request *request = &exchange->request;
  buffer_printf(&site->seen, "%s 1.%d route %u ", method_name(request->method), request->minor,
                exchange->match.route);
  note(site, request_target(request));
  for (uint32_t i = 0; i < exchange->match.param_count; i++)
    note(site, exchange->match.params[i].value);
  for (size_t i = 0; i < request->field_count; i++) {
    note(site, request_field_name(request, i));
    note(site, request_field_value(request, i));
  }
  if (exchange->match.route != ROUTE_STREAM) note(site, request_body(request));
}

/* May depend on where the input was cut: only looked at. */
static void look_at(struct site *site, const struct exchange *exchange) {
  const struct request *request = &exchange->request;
  struct slice target = request_target(request), path = request->uri.path;
  buffer_clear(&site->asked);
  buffer_add(&site->asked, target.data, target.len);
  if (path.len > 0) buffer_add(&site->asked, path.data, path.len);
  for (size_t i = 0; i < request->field_count; i++) {
    struct slice name = request_field_name(request, i), value = request_field_value(request, i);
    buffer_add(&site->asked, name.data, name.len);
    buffer_add(&site->asked, value.data, value.len);
  }
  assert(exchange->match.param_count == 0 && request->body.len == 0);
}

/* A streamed response, unless it would end with the connection: then it would depend on the turn
 * which further requests are read. */
static void respond(struct exchange *exchange) {
  if (exchange->status != 0) {
    answer_default(exchange);
    exchange_release(exchange);
    return;
  }
  struct slice body = request_body(&exchange->request);
  struct response response = {.status = 200, .block = {"", 0}, .body = body};
  if (exchange->match.route == ROUTE_FILE && exchange->request.minor > 0) {
    exchange_begin(exchange, &response, EXCHANGE_LENGTH_UNKNOWN);
    exchange_write(exchange, "more", sizeof "more" - 1);
    exchange_end(exchange);
  } else {
    exchange_respond(exchange, &response);
  }
  exchange_release(exchange);
}

static void on_handle(struct exchange *exchange) {
  struct site *site = exchange->hub->owner;
  if (exchange->status != 0)
    look_at(site, exchange);
  else
    note_request(site, exchange);
  if (exchange->status == 0 && exchange->match.route == ROUTE_SYNC) {
    respond(exchange);
    return;
  }
  assert(site->held_count < PIPELINE_MAX);
  site->held[site->held_count++] = exchange;
}

static void on_body(struct exchange *exchange) {
  struct site *site = exchange->hub->owner;
  if (exchange->body == EXCHANGE_BODY_BROKEN) buffer_clear(&site->body);
}

static void on_gone(struct exchange *exchange) {
  struct site *site = exchange->hub->owner;
  unsigned kept = 0;
  for (unsigned i = 0; i < site->held_count; i++)
    if (site->held[i] != exchange) site->held[kept++] = site->held[i];
  site->held_count = kept;
  exchange_release(exchange);
}

/* Responses are small: nobody has to wait to write one. */
static void on_drained(struct exchange *exchange) {
  (void)exchange;
  abort();
}

/* Responses are released when they are given. */
static void on_sent(struct exchange *exchange) {
  (void)exchange;
  abort();
}

static void site_init(struct site *site) {
  static const struct hub_calls calls = {.handle = on_handle,
                                         .gone = on_gone,
                                         .body = on_body,
                                         .drained = on_drained,
                                         .sent = on_sent};
  *site = (struct site){.router = router_create()};
  hub_fixture_route(site->router, METHOD_GET, "/sync", ROUTE_SYNC);
  hub_fixture_route(site->router, METHOD_POST, "/echo", ROUTE_ECHO);
  hub_fixture_route(site->router, METHOD_GET, "/held/", ROUTE_HELD);
  hub_fixture_route(site->router, METHOD_PUT, "/i/{id:int}", ROUTE_ITEM);
  hub_fixture_route(site->router, METHOD_DELETE, "/f/{name:path}", ROUTE_FILE);
  hub_fixture_route(site->router, METHOD_POST, "/stream", ROUTE_STREAM);
  for (unsigned i = 0; i < ROUTES; i++) site->routes[i].body_bytes_max = HUB_ROUTE_DEFAULT;
  site->routes[ROUTE_STREAM] =
      (struct hub_route){.body_bytes_max = STREAM_BYTES_MAX, .streams_body = true};
  hub_fixture_init(&site->hub, &site->loop, &site->timers, &hub_fixture_limits, site->router,
                   &calls);
  site->hub.owner = site;
  site->hub.routes = site->routes;
  memset(site->statuses, true, sizeof site->statuses);
  site->hub.statuses = site->statuses;
}

static void site_finish(struct site *site) {
  hub_fixture_finish(&site->hub);
  router_destroy(site->router);
  buffer_finish(&site->asked);
  buffer_finish(&site->seen);
  buffer_finish(&site->streamed);
  buffer_finish(&site->body);
  buffer_finish(&site->output);
}

/* Takes what has come of a streamed body; true once it can be answered. */
static bool take_body(struct site *site, struct exchange *exchange) {
  if (exchange->status != 0 || exchange->match.route != ROUTE_STREAM) return true;
  exchange_read(exchange, &site->body);
  assert(site->body.len <= STREAM_BYTES_MAX);
  if (exchange->body == EXCHANGE_BODY_COMING) return false;
  if (exchange->body == EXCHANGE_BODY_WHOLE)
    buffer_add(&site->streamed, site->body.data, site->body.len);
  buffer_add_text(&site->streamed, exchange->body_status ? "\nrefused\n" : "\nend\n");
  buffer_clear(&site->body);
  return true;
}

/* Only the last one's body may still be on its way. */
static void answer_held(struct site *site) {
  struct exchange *waiting = NULL;
  struct exchange *held[PIPELINE_MAX];
  unsigned count = site->held_count;
  for (unsigned i = 0; i < count; i++) held[i] = site->held[i];
  site->held_count = 0;
  for (unsigned i = 0; i < count; i++) {
    if (take_body(site, held[i])) continue;
    assert(i == count - 1);
    waiting = held[i];
  }
  if (waiting) count--;
  while (count) respond(held[--count]);
  if (waiting) site->held[site->held_count++] = waiting;
}

/* One turn of a worker; the client reads what there is. */
static void turn(struct site *site, int client) {
  char response[4096];
  ssize_t len;
  uv_run(&site->loop, UV_RUN_NOWAIT);
  answer_held(site);
  hub_flush(&site->hub);
  while ((len = recv(client, response, sizeof response, MSG_DONTWAIT)) > 0)
    buffer_add(&site->output, response, (size_t)len);
}

/* The size of the next piece. */
static size_t next_size(uint8_t *seed) {
  if (*seed < VARIED_PIECES) return (size_t)*seed + 1;
  *seed = (uint8_t)((*seed * 5 + 3) | VARIED_PIECES);
  return (size_t)(*seed - VARIED_PIECES) / 4 + 1;
}

/* Serves one client that sends `bytes`; without a seed in one piece. */
static void serve(struct site *site, struct input bytes, uint8_t *seed) {
  int fds[2];
  int failed = socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
  assert(!failed);
  failed = connection_adopt(&site->hub, fds[0], true);
  assert(!failed);
  (void)failed;
  while (input_left(&bytes)) {
    struct slice piece = input_take(&bytes, seed ? next_size(seed) : PIECE_BYTES_MAX);
    if (send(fds[1], piece.data, piece.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
    turn(site, fds[1]);
  }
  shutdown(fds[1], SHUT_WR);
  int turns = 0;
  for (; turns < TURNS_MAX && site->hub.connection_count; turns++) turn(site, fds[1]);
  assert(turns < TURNS_MAX);
  close(fds[1]);
}

static void assert_same(const struct buffer *a, const struct buffer *b) {
  assert(a->len == b->len);
  if (a->len) assert(memcmp(a->data, b->data, a->len) == 0);
}

/* All that looks like the status of an answer, but 100, which a body may come too early for. Of a
 * request with several faults it may depend on the cut which one is told: refusals are all alike.
 */
static void list_statuses(const struct buffer *output, struct buffer *statuses) {
  static const char start[] = "HTTP/1.1 ";
  static const char *const others[] = {"200", "204", "308", "404", "405"};
  const size_t start_len = sizeof start - 1, code_len = sizeof "200" - 1;
  for (size_t at = 0; at + start_len + code_len <= output->len; at++) {
    const char *code = output->data + at + start_len;
    if (memcmp(code - start_len, start, start_len) != 0 || memcmp(code, "100", code_len) == 0)
      continue;
    const char *told = "refused";
    for (size_t i = 0; i < array_len(others); i++)
      if (memcmp(code, others[i], code_len) == 0) told = others[i];
    buffer_add_text(statuses, told);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct input input = input_of(data, len);
  uint8_t seed = input_byte(&input);
  struct site cut, whole;
  struct buffer cut_statuses = {0}, whole_statuses = {0};
  site_init(&cut);
  serve(&cut, input, &seed);
  site_init(&whole);
  serve(&whole, input, NULL);
  assert(cut.hub.counts.requests == whole.hub.counts.requests);
  assert_same(&cut.seen, &whole.seen);
  assert_same(&cut.streamed, &whole.streamed);
  list_statuses(&cut.output, &cut_statuses);
  list_statuses(&whole.output, &whole_statuses);
  assert_same(&cut_statuses, &whole_statuses);
  buffer_finish(&cut_statuses);
  buffer_finish(&whole_statuses);
  site_finish(&cut);
  site_finish(&whole);
  return 0;
}
