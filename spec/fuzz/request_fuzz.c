/* request_fuzz.c - any bytes, in any pieces, from a client to a whole connection.
 *
 * The first byte of an input chooses the size of the pieces, the rest is what the client sends
 * before it ends its side. Everything it asked for must be answered and the connection closed in a
 * bounded number of turns. The same bytes in one piece must make the same requests: what a request
 * is may not depend on how it was cut. */
#include "base/limits.h"
#include "fuzz.h"
#include "http/connection.h"
#include "http/hub.h"
#include "http/router.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  PIPELINE_MAX = 8,
  BODY_BYTES_MAX = 1000,
  PIECE_BYTES_MAX = 32 * 1024, /* what a socket takes at once */
  TURNS_MAX = 100000,          /* to answer one input */
};

enum route { ROUTE_SYNC, ROUTE_ECHO, ROUTE_HELD, ROUTE_ITEM, ROUTE_FILE };

struct site {
  uv_loop_t loop;
  struct timers timers;
  struct http_limits limits;
  struct router *router;
  struct hub hub;
  struct exchange *held[PIPELINE_MAX]; /* to be answered, the last one first */
  unsigned held_count;
  struct buffer seen; /* all requests, as the handler got them */
};

static void note(struct site *site, struct slice text) {
  buffer_add(&site->seen, text.data, text.len);
  buffer_add_byte(&site->seen, '\n');
}

static void note_request(struct site *site, struct exchange *exchange) {
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
  note(site, request_body(request));
}

static void respond(struct exchange *exchange) {
  struct slice body = request_body(&exchange->request);
  struct response response = {.status = 200, .block = {"", 0}, .body = body};
  exchange_respond(exchange, &response);
  exchange_release(exchange);
}

static void on_handle(struct exchange *exchange) {
  struct site *site = exchange->hub->owner;
  assert(exchange->match.route <= ROUTE_FILE);
  note_request(site, exchange);
  if (exchange->match.route == ROUTE_SYNC) {
    respond(exchange);
    return;
  }
  assert(site->held_count < PIPELINE_MAX);
  site->held[site->held_count++] = exchange;
}

static void on_gone(struct exchange *exchange) {
  struct site *site = exchange->hub->owner;
  unsigned kept = 0;
  for (unsigned i = 0; i < site->held_count; i++)
    if (site->held[i] != exchange) site->held[kept++] = site->held[i];
  site->held_count = kept;
  exchange_release(exchange);
}

/* Responses are released when they are given. */
static void on_sent(struct exchange *exchange) {
  (void)exchange;
  abort();
}

static void add_route(struct site *site, enum method method, const char *path, enum route route) {
  struct router_problem problem;
  enum router_error error = router_add(site->router, method, path, strlen(path), route, &problem);
  assert(error == ROUTER_OK);
  (void)error;
}

static void site_init(struct site *site) {
  site->limits = (struct http_limits){
      .head = {.target_bytes_max = 200, .head_bytes_max = 1000, .fields_max = 10},
      .body_bytes_max = BODY_BYTES_MAX,
      .header_timeout_ms = 1000,
      .body_timeout_ms = 1000,
      .idle_timeout_ms = 1000,
      .write_timeout_ms = 1000,
      .connections_max = 1,
      .pipeline_max = PIPELINE_MAX};
  site->router = router_create();
  add_route(site, METHOD_GET, "/sync", ROUTE_SYNC);
  add_route(site, METHOD_POST, "/echo", ROUTE_ECHO);
  add_route(site, METHOD_GET, "/held/", ROUTE_HELD);
  add_route(site, METHOD_PUT, "/i/{id:int}", ROUTE_ITEM);
  add_route(site, METHOD_DELETE, "/f/{name:path}", ROUTE_FILE);
  uv_loop_init(&site->loop);
  timers_init_manual(&site->timers, NS_PER_SECOND);
  struct hub_calls calls = {.handle = on_handle, .gone = on_gone, .sent = on_sent};
  hub_init(&site->hub, &site->loop, &site->timers, &site->limits, site->router, &calls);
  site->hub.owner = site;
}

static void site_finish(struct site *site) {
  assert(site->hub.exchange_count == 0);
  int error = uv_loop_close(&site->loop);
  assert(error == 0);
  (void)error;
  hub_finish(&site->hub);
  timers_finish(&site->timers);
  router_destroy(site->router);
}

/* One turn of a worker; the client reads what there is. */
static void turn(struct site *site, int client) {
  char response[4096];
  uv_run(&site->loop, UV_RUN_NOWAIT);
  while (site->held_count) respond(site->held[--site->held_count]);
  hub_flush(&site->hub);
  while (recv(client, response, sizeof response, MSG_DONTWAIT) > 0) {
  }
}

/* Serves one client that sends `bytes`, at most `piece_bytes` in one turn. */
static void serve(struct site *site, struct input bytes, size_t piece_bytes) {
  int fds[2];
  int failed = socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
  assert(!failed);
  failed = connection_adopt(&site->hub, fds[0]);
  assert(!failed);
  (void)failed;
  while (input_left(&bytes)) {
    struct slice piece = input_take(&bytes, piece_bytes);
    if (send(fds[1], piece.data, piece.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
    turn(site, fds[1]);
  }
  shutdown(fds[1], SHUT_WR);
  int turns = 0;
  for (; turns < TURNS_MAX && site->hub.connection_count; turns++) turn(site, fds[1]);
  assert(turns < TURNS_MAX);
  close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct input input = input_of(data, len);
  size_t piece_bytes = (size_t)input_byte(&input) + 1;
  struct site cut = {0}, whole = {0};
  site_init(&cut);
  serve(&cut, input, piece_bytes);
  site_init(&whole);
  serve(&whole, input, PIECE_BYTES_MAX);
  assert(cut.hub.counts.requests == whole.hub.counts.requests);
  assert(cut.seen.len == whole.seen.len);
  if (cut.seen.len) assert(memcmp(cut.seen.data, whole.seen.data, cut.seen.len) == 0);
  site_finish(&cut);
  site_finish(&whole);
  buffer_finish(&cut.seen);
  buffer_finish(&whole.seen);
  return 0;
}
