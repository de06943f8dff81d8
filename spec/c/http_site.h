/* http_site.h - what the specs of http/ share: a hub with stub handlers on a clock that stands
 * still, and blocking client sockets.
 *
 * Included by one spec file each, so everything is static. Routes: /hello answers in the turn that
 * read it, /sync inside `handle`, /echo with the body, /held when the spec says so. */
#ifndef SPEC_HTTP_SITE_H
#define SPEC_HTTP_SITE_H

#include "base/limits.h"
#include "http/answer.h"
#include "http/connection.h"
#include "http/listener.h"
#include "hub_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka.h needs some of the above. */
#include <cmocka.h>

enum {
  TURNS_MAX = 5000, /* each waits up to a millisecond */
  TURNS_FEW = 20,
  HELD_MAX = 64,
  IDLE_BYTES_MAX = 900
};

enum route { ROUTE_HELLO, ROUTE_SYNC, ROUTE_ECHO, ROUTE_HELD, ROUTE_SLASHED };

struct site {
  uv_loop_t loop;
  struct timers timers;
  struct http_limits limits;
  struct router *router;
  struct hub hub;
  struct listener listener;
  uint16_t port;

  struct exchange *ready[HELD_MAX]; /* to be answered in this turn */
  unsigned ready_count;
  struct exchange *held[HELD_MAX]; /* until site_respond */
  unsigned held_count;
  unsigned asked_count; /* for answers without a handler */
  unsigned gone_count, sent_count, half_closed_count;
  bool delivered;    /* of the last one sent */
  const char *about; /* what the spec is trying, for the message of a failure */
};

#define HEAD(status, fields, length, more)                                                         \
  "HTTP/1.1 " status "\r\n" fields "Content-Length: " length "\r\n" more "\r\n"
#define OK_HEAD(length) HEAD("200 OK", "Content-Type: text/plain\r\n", length, "")
#define CLOSE_HEAD(length)                                                                         \
  HEAD("200 OK", "Content-Type: text/plain\r\n", length, "Connection: close\r\n")
#define DETAIL_HEAD(status, fields, length, more)                                                  \
  HEAD(status, "Content-Type: application/json\r\n" fields, length, more)
#define NOT_FOUND(more) DETAIL_HEAD("404 Not Found", "", "22", more) "{\"detail\":\"Not Found\"}"
#define REFUSED(status, length, reason)                                                            \
  DETAIL_HEAD(status, "", length, "Connection: close\r\n") "{\"detail\":\"" reason "\"}"

static void respond_text(struct exchange *exchange, struct slice body) {
  static const char block[] = "Content-Type: text/plain\r\n";
  struct response response = {.status = 200, .block = {block, sizeof block - 1}, .body = body};
  exchange_respond(exchange, &response);
}

static void on_handle(struct exchange *exchange) {
  struct site *site = exchange->hub->owner;
  if (exchange->status != 0) {
    assert_true(site->ready_count < HELD_MAX);
    site->ready[site->ready_count++] = exchange;
    site->asked_count++;
    return;
  }
  switch ((enum route)exchange->match.route) {
  case ROUTE_HELLO:
  case ROUTE_ECHO:
  case ROUTE_SLASHED:
    assert_true(site->ready_count < HELD_MAX);
    site->ready[site->ready_count++] = exchange;
    break;
  case ROUTE_SYNC:
    respond_text(exchange, (struct slice){"sync", 4});
    exchange_release(exchange);
    break;
  case ROUTE_HELD:
    assert_true(site->held_count < HELD_MAX);
    site->held[site->held_count++] = exchange;
    break;
  }
}

static void on_gone(struct exchange *exchange) {
  struct site *site = exchange->hub->owner;
  assert_null(exchange->connection);
  site->gone_count++;
}

static void on_half_closed(struct exchange *exchange) {
  struct site *site = exchange->hub->owner;
  site->half_closed_count++;
}

static void on_sent(struct exchange *exchange) {
  struct site *site = exchange->hub->owner;
  site->sent_count++;
  site->delivered = exchange->delivered;
  exchange_release(exchange);
}

static void answer_ready(struct site *site) {
  for (unsigned i = 0; i < site->ready_count; i++) {
    struct exchange *exchange = site->ready[i];
    if (exchange->status != 0) {
      answer_default(exchange);
      exchange_release(exchange);
      continue;
    }
    struct slice body = exchange->match.route == ROUTE_ECHO ? request_body(&exchange->request)
                                                            : (struct slice){"hello", 5};
    respond_text(exchange, body);
    exchange_release(exchange);
  }
  site->ready_count = 0;
}

/* One turn of a worker, waiting at most a millisecond for input. */
static void site_turn(struct site *site) {
  struct pollfd loop = {.fd = uv_backend_fd(&site->loop), .events = POLLIN};
  poll(&loop, 1, 1);
  uv_run(&site->loop, UV_RUN_NOWAIT);
  timers_run(&site->timers);
  answer_ready(site);
  hub_flush(&site->hub);
}

/* Moves the clock, with a turn wherever a timer is due. */
static inline void site_advance(struct site *site, uint64_t by_ms) {
  uint64_t left = by_ms * NS_PER_MS;
  do {
    left = timers_advance(&site->timers, left);
    site_turn(site);
  } while (left > 0);
}

static void add_route(struct site *site, enum method method, const char *path, enum route route) {
  hub_fixture_route(site->router, method, path, route);
}

static int site_setup(void **state) {
  signal(SIGPIPE, SIG_IGN); /* as the program does: clients leave while the hub sends to them */
  struct site *site = memory_alloc_zero(sizeof *site);
  *state = site;
  site->limits = hub_fixture_limits;
  site->router = router_create();
  add_route(site, METHOD_GET, "/hello", ROUTE_HELLO);
  add_route(site, METHOD_GET, "/sync", ROUTE_SYNC);
  add_route(site, METHOD_POST, "/echo", ROUTE_ECHO);
  add_route(site, METHOD_GET, "/held", ROUTE_HELD);
  add_route(site, METHOD_POST, "/held", ROUTE_HELD);
  add_route(site, METHOD_GET, "/slashed/", ROUTE_SLASHED);
  struct hub_calls calls = {
      .handle = on_handle, .gone = on_gone, .half_closed = on_half_closed, .sent = on_sent};
  hub_fixture_init(&site->hub, &site->loop, &site->timers, &site->limits, site->router, &calls);
  site->hub.owner = site;
  int fd;
  char message[LISTENER_MESSAGE_BYTES];
  assert_int_equal(listener_bind("127.0.0.1", 0, 1, &fd, &site->port, message), 0);
  assert_int_equal(listener_start(&site->listener, &site->hub, fd), 0);
  return 0;
}

static int site_teardown(void **state) {
  struct site *site = *state;
  listener_stop(&site->listener);
  hub_close_all(&site->hub);
  hub_flush(&site->hub);
  uv_run(&site->loop, UV_RUN_DEFAULT);
  assert_true(site->listener.is_closed);
  hub_fixture_finish(&site->hub);
  router_destroy(site->router);
  free(site);
  return 0;
}

#define SITE_TEST(spec) cmocka_unit_test_setup_teardown(spec, site_setup, site_teardown)

static inline int connect_to(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

static inline int site_connect(struct site *site) {
  return connect_to(site->port);
}

/* A client on a socket that keeps the borders of writes. */
static inline int site_pair(struct site *site) {
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
  assert_int_equal(connection_adopt(&site->hub, fds[0], true), 0);
  return fds[1];
}

static inline void client_send_bytes(int client, const char *data, size_t len) {
  assert_int_equal(send(client, data, len, MSG_NOSIGNAL), len);
}

static inline void client_send(int client, const char *text) {
  client_send_bytes(client, text, strlen(text));
}

static inline void client_reset(int client) {
  struct linger linger = {.l_onoff = 1};
  setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  close(client);
}

static inline void assert_slice(struct slice slice, const char *expected) {
  size_t len = strlen(expected);
  if (slice.len != len || memcmp(slice.data, expected, len) != 0)
    fail_msg("got:\n%.*s\nexpected:\n%s", (int)slice.len, slice.data, expected);
}

/* Takes "Date: ...\r\n" out of complete heads. */
static inline void cut_dates(struct buffer *text) {
  static const char name[] = "Date: ";
  const size_t len = sizeof name - 1 + DATE_LEN + 2;
  char *at;
  buffer_add_byte(text, '\0');
  text->len--;
  while ((at = strstr(text->data, name)) && text->len - (size_t)(at - text->data) >= len) {
    assert_memory_equal(at + len - 6, " GMT\r\n", 6);
    memmove(at, at + len, text->len - (size_t)(at - text->data) - len + 1);
    text->len -= len;
  }
}

/* Without the Date field that is coming in. */
static inline size_t counted_len(const struct buffer *text) {
  static const char name[] = "Date: ";
  size_t line = text->len;
  while (line > 0 && text->data[line - 1] != '\n') line--;
  size_t len = text->len - line;
  if (len > sizeof name - 1) len = sizeof name - 1;
  bool is_date = len > 0 && memcmp(text->data + line, name, len) == 0;
  return is_date ? line : text->len;
}

/* Turns until exactly the bytes of `expected` have come. */
static inline void client_expect(struct site *site, int client, const char *expected) {
  struct buffer text = {0};
  for (int turn = 0; turn < TURNS_MAX; turn++) {
    site_turn(site);
    char byte;
    while (counted_len(&text) < strlen(expected) && recv(client, &byte, 1, MSG_DONTWAIT) == 1) {
      buffer_add_byte(&text, byte);
      if (byte == '\n') cut_dates(&text);
    }
    if (counted_len(&text) >= strlen(expected)) break;
  }
  if (text.len != strlen(expected) || memcmp(text.data, expected, text.len) != 0)
    print_error("about:\n%s\n", site->about ? site->about : "");
  assert_slice((struct slice){text.data, text.len}, expected);
  buffer_finish(&text);
}

static inline void client_expect_nothing(struct site *site, int client) {
  char byte;
  for (int i = 0; i < TURNS_FEW; i++) site_turn(site);
  assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), -1);
  assert_int_equal(errno, EAGAIN);
}

/* The server has ended its side in order, with nothing left to read. */
static inline void client_expect_end_open(struct site *site, int client) {
  char byte;
  ssize_t len = -1;
  for (int turn = 0; turn < TURNS_MAX && len < 0; turn++) {
    site_turn(site);
    len = recv(client, &byte, 1, MSG_DONTWAIT);
    if (len < 0) assert_int_equal(errno, EAGAIN);
  }
  assert_int_equal(len, 0);
}

static inline void client_expect_end(struct site *site, int client) {
  client_expect_end_open(site, client);
  close(client);
}

static inline void site_wait_empty(struct site *site) {
  for (int turn = 0; turn < TURNS_MAX && site->hub.connection_count; turn++) site_turn(site);
  assert_int_equal(site->hub.connection_count, 0);
}

/* Turns until `count` requests to /held have come; gives the last of them. */
static inline struct exchange *site_wait_held(struct site *site, unsigned count) {
  for (int turn = 0; turn < TURNS_MAX && site->held_count < count; turn++) site_turn(site);
  assert_true(site->held_count >= count);
  return site->held[count - 1];
}

/* Answers the request to /held that came as number `i`; it is released by on_sent. */
static inline void site_respond(struct site *site, unsigned i, const char *text) {
  respond_text(site->held[i], (struct slice){text, strlen(text)});
}

#endif
