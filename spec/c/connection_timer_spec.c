/* connection_timer_spec.c - timeouts, slow readers, drain and hard close, limits on connections.
 *
 * The clock stands still; site_advance moves it and fires what is due. */
#include "http_site.h"

#define HOST    "Host: h\r\n"
#define TIMEOUT REFUSED("408 Request Timeout", "28", "Request Timeout")

enum { LARGE_BYTES = 16 * 1024 * 1024, SMALL_WINDOW_BYTES = 256 * 1024 };

static void wait_input(struct site *site, uint64_t bytes) {
  for (int turn = 0; turn < TURNS_MAX && site->hub.counts.bytes_in < bytes; turn++) site_turn(site);
  assert_true(site->hub.counts.bytes_in >= bytes);
}

static void wait_connections(struct site *site, uint32_t count) {
  for (int turn = 0; turn < TURNS_MAX && site->hub.counts.connections < count; turn++)
    site_turn(site);
  assert_int_equal(site->hub.counts.connections, count);
}

static void closes_idle_connections(void **state) {
  struct site *site = *state;
  int silent = site_connect(site), used = site_connect(site);
  wait_connections(site, 2);
  site_advance(site, 50000);
  client_send(used, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
  client_expect(site, used, OK_HEAD("5") "hello");
  site_advance(site, 24999);
  assert_int_equal(site->hub.connection_count, 2);
  site_advance(site, 1);
  client_expect_end(site, silent);
  assert_int_equal(site->hub.connection_count, 1);
  site_advance(site, 49999);
  assert_int_equal(site->hub.connection_count, 1);
  site_advance(site, 1);
  client_expect_end(site, used);
  site_wait_empty(site);
}

static void times_a_head_from_its_first_byte(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  wait_connections(site, 1);
  site_advance(site, 60000);
  client_send(client, "GET ");
  wait_input(site, 4);
  site_advance(site, 9000);
  client_send(client, "/hello");
  wait_input(site, 10);
  client_expect_nothing(site, client);
  site_advance(site, 1000);
  client_expect(site, client, TIMEOUT);
  client_expect_end(site, client);
}

static void times_a_body_from_its_last_byte(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  static const char head[] = "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n";
  client_send(client, head);
  uint64_t bytes = sizeof head - 1;
  for (int i = 0; i < 4; i++) {
    wait_input(site, bytes);
    site_advance(site, 29999);
    client_send(client, "x");
    bytes++;
  }
  wait_input(site, bytes);
  site_advance(site, 29999);
  client_expect_nothing(site, client);
  site_advance(site, 1);
  client_expect(site, client, TIMEOUT);
  client_expect_end(site, client);
}

static void does_not_time_handlers(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, "GET /held HTTP/1.1\r\n" HOST "\r\n");
  site_wait_held(site, 1);
  site_advance(site, 3600000);
  site_respond(site, 0, "late");
  client_expect(site, client, OK_HEAD("4") "late");
  site_advance(site, 74999);
  assert_int_equal(site->hub.connection_count, 1);
  site_advance(site, 1);
  client_expect_end(site, client);
}

/* A client with a small window that has asked for /held; the response is far larger. */
static int ask_for_much(struct site *site) {
  int client = site_connect(site);
  int bytes = SMALL_WINDOW_BYTES;
  setsockopt(client, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  client_send(client, "GET /held HTTP/1.1\r\n" HOST "\r\n");
  site_wait_held(site, 1);
  char *body = memory_alloc(LARGE_BYTES);
  memset(body, 'x', LARGE_BYTES);
  respond_text(site->held[0], (struct slice){body, LARGE_BYTES});
  free(body);
  for (int i = 0; i < TURNS_FEW; i++) site_turn(site);
  assert_int_equal(site->sent_count, 0);
  return client;
}

static void closes_on_a_client_that_does_not_read(void **state) {
  struct site *site = *state;
  int client = ask_for_much(site);
  site_advance(site, 29999);
  assert_int_equal(site->hub.connection_count, 1);
  site_advance(site, 1);
  site_wait_empty(site);
  assert_int_equal(site->sent_count, 1);
  assert_false(site->delivered);
  close(client);
}

static size_t read_some(struct site *site, int client, size_t at_least) {
  static char bytes[65536];
  size_t got = 0;
  for (int turn = 0; turn < TURNS_MAX && got < at_least; turn++) {
    ssize_t len;
    while (got < at_least && (len = recv(client, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
      got += (size_t)len;
    site_turn(site);
  }
  if (got < at_least) fail_msg("%zu of %zu bytes", got, at_least);
  return got;
}

static void waits_for_a_client_that_reads_slowly(void **state) {
  struct site *site = *state;
  int client = ask_for_much(site);
  size_t got = 0;
  for (int i = 0; i < 5; i++) {
    got += read_some(site, client, 1024 * 1024);
    site_advance(site, 29000);
  }
  assert_int_equal(site->hub.connection_count, 1);
  assert_int_equal(site->sent_count, 0);
  read_some(site, client, LARGE_BYTES - got);
  for (int turn = 0; turn < TURNS_MAX && !site->sent_count; turn++) site_turn(site);
  assert_int_equal(site->sent_count, 1);
  assert_true(site->delivered);
  client_send(client, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
  for (int turn = 0; turn < TURNS_MAX && site->hub.counts.requests < 2; turn++) site_turn(site);
  assert_int_equal(site->hub.counts.requests, 2);
  close(client);
}

static void reads_no_more_while_much_is_unwritten(void **state) {
  struct site *site = *state;
  int client = ask_for_much(site);
  uint64_t seen = site->hub.counts.bytes_in;
  client_send(client, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
  for (int i = 0; i < TURNS_FEW; i++) site_turn(site);
  assert_int_equal(site->hub.counts.bytes_in, seen);
  read_some(site, client, LARGE_BYTES);
  wait_input(site, seen + 1);
  close(client);
}

static void drains(void **state) {
  struct site *site = *state;
  int idle = site_connect(site), busy = site_connect(site), unread = site_connect(site);
  int reading = site_connect(site);
  client_send(busy, "GET /held HTTP/1.1\r\n" HOST "\r\nGET /held HTTP/1.1\r\n" HOST "\r\n");
  client_send(reading, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n1");
  site_wait_held(site, 2);
  wait_connections(site, 4);
  for (int i = 0; i < TURNS_FEW; i++) site_turn(site);
  client_send(unread, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
  listener_stop(&site->listener);
  hub_drain(&site->hub);
  hub_drain(&site->hub);
  client_expect_end(site, idle);
  client_expect(site, unread, CLOSE_HEAD("5") "hello");
  client_expect_end(site, unread);
  client_send(reading, "2");
  client_expect(site, reading, CLOSE_HEAD("2") "12");
  client_expect_end(site, reading);
  client_send(busy, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
  site_respond(site, 0, "first");
  site_respond(site, 1, "last");
  client_expect(site, busy, OK_HEAD("5") "first" CLOSE_HEAD("4") "last");
  client_expect_end(site, busy);
  site_wait_empty(site);
}

static void closes_all(void **state) {
  struct site *site = *state;
  int idle = site_connect(site), busy = site_connect(site);
  client_send(busy, "GET /held HTTP/1.1\r\n" HOST "\r\n");
  site_wait_held(site, 1);
  wait_connections(site, 2);
  hub_close_all(&site->hub);
  hub_close_all(&site->hub);
  assert_int_equal(site->gone_count, 1);
  exchange_release(site->held[0]);
  site_wait_empty(site);
  close(idle);
  close(busy);
}

static void accepts_no_more_than_the_limit(void **state) {
  struct site *site = *state;
  site->limits.connections_max = 2;
  int first = site_connect(site), second = site_connect(site);
  wait_connections(site, 2);
  int third = site_connect(site);
  client_send(third, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
  client_expect_nothing(site, third);
  close(first);
  client_expect(site, third, OK_HEAD("5") "hello");
  int fourth = site_connect(site);
  client_send(fourth, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
  client_expect_nothing(site, fourth);
  close(second);
  client_expect(site, fourth, OK_HEAD("5") "hello");
  assert_int_equal(site->hub.counts.accepts_paused, 2);
  close(third);
  close(fourth);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SITE_TEST(closes_idle_connections),
      SITE_TEST(times_a_head_from_its_first_byte),
      SITE_TEST(times_a_body_from_its_last_byte),
      SITE_TEST(does_not_time_handlers),
      SITE_TEST(closes_on_a_client_that_does_not_read),
      SITE_TEST(waits_for_a_client_that_reads_slowly),
      SITE_TEST(reads_no_more_while_much_is_unwritten),
      SITE_TEST(drains),
      SITE_TEST(closes_all),
      SITE_TEST(accepts_no_more_than_the_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
