/* connection_stream_spec.c - streamed responses and streamed bodies over whole connections.
 *
 * As connection_spec.c, with /held as a route that streams bodies. What the hub tells is counted;
 * the specs take, write and end by themselves, so every state can be looked at. */
#include "http_site.h"

static const struct hub_route routes[] = {
    [ROUTE_HELD] = {HUB_ROUTE_DEFAULT, true}, [ROUTE_SLASHED] = {HUB_ROUTE_DEFAULT, false}};

/* Counts of one spec; cmocka runs them one after the other. */
struct counts {
  unsigned bodies, drains;
};

static struct counts *counts_of(struct exchange *exchange) {
  return exchange->owner;
}

static void on_body(struct exchange *exchange) {
  if (exchange->owner) counts_of(exchange)->bodies++;
}

static void on_drained(struct exchange *exchange) {
  if (exchange->owner) counts_of(exchange)->drains++;
}

static int setup(void **state) {
  int error = site_setup(state);
  struct site *site = *state;
  site->hub.routes = routes;
  site->hub.calls.body = on_body;
  site->hub.calls.drained = on_drained;
  site->limits.body_bytes_max = 1 << 20;
  return error;
}

#define STREAM_TEST(spec) cmocka_unit_test_setup_teardown(spec, setup, site_teardown)

#define GET_HELD  "GET /held HTTP/1.1\r\nHost: h\r\n\r\n"
#define GET_HELLO "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST_HELD "POST /held HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED_HEAD                                                                               \
  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"

static void begin(struct exchange *exchange, const char *text, uint64_t length) {
  static const char block[] = "Content-Type: text/plain\r\n";
  struct response response = {
      .status = 200, .block = {block, sizeof block - 1}, .body = {text, strlen(text)}};
  exchange_begin(exchange, &response, length);
}

static void streams_in_chunks_before_the_next_response(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, GET_HELD GET_HELLO);
  struct exchange *exchange = site_wait_held(site, 1);
  begin(exchange, "one", EXCHANGE_LENGTH_UNKNOWN);
  client_expect(site, client, CHUNKED_HEAD "3\r\none\r\n");
  assert_true(exchange_write(exchange, "", 0));
  assert_true(exchange_write(exchange, "seventeen letters", 17));
  client_expect(site, client, "11\r\nseventeen letters\r\n");
  assert_int_equal(site->sent_count, 0);
  exchange_end(exchange);
  client_expect(site, client, "0\r\n\r\n" OK_HEAD("5") "hello");
  assert_int_equal(site->sent_count, 1);
  assert_true(site->delivered);
  close(client);
}

static void streams_a_known_length(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, GET_HELD);
  struct exchange *exchange = site_wait_held(site, 1);
  begin(exchange, "ab", 4);
  client_expect(site, client, OK_HEAD("4") "ab");
  exchange_write(exchange, "cd", 2);
  exchange_end(exchange);
  client_expect(site, client, "cd");
  close(client);
}

static void ends_with_the_connection_for_http_1_0(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, "GET /held HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" GET_HELD);
  struct exchange *exchange = site_wait_held(site, 2);
  assert_int_equal(site->gone_count, 0);
  begin(site->held[0], "text", EXCHANGE_LENGTH_UNKNOWN);
  exchange_end(site->held[0]);
  client_expect(site, client,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                "Connection: close\r\n\r\ntext");
  client_expect_end(site, client);
  assert_int_equal(site->gone_count, 1);
  assert_null(exchange->connection);
  exchange_release(exchange);
}

static void has_no_body_for_head(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, "HEAD /held HTTP/1.1\r\nHost: h\r\n\r\n");
  struct exchange *exchange = site_wait_held(site, 1);
  begin(exchange, "text", EXCHANGE_LENGTH_UNKNOWN);
  exchange_write(exchange, "more", 4);
  exchange_end(exchange);
  client_expect(site, client, CHUNKED_HEAD);
  client_expect_nothing(site, client);
  close(client);
}

/* Behind an unanswered request a stream gathers up to its limit, and drains when it is its turn. */
static void waits_for_its_turn(void **state) {
  static const char piece[1024] = "piece";
  struct site *site = *state;
  struct counts counts = {0};
  int client = site_connect(site);
  client_send(client, GET_HELD GET_HELD);
  struct exchange *second = site_wait_held(site, 2);
  second->owner = &counts;
  begin(second, "", EXCHANGE_LENGTH_UNKNOWN);
  unsigned pieces = 1;
  while (exchange_write(second, piece, sizeof piece)) pieces++;
  const size_t chunk = sizeof piece + sizeof "400\r\n\r\n" - 1;
  assert_in_range(pieces * chunk, STREAM_PAUSE_BYTES - chunk, STREAM_PAUSE_BYTES + chunk);
  client_expect_nothing(site, client);
  assert_int_equal(counts.drains, 0);
  site_respond(site, 0, "first");
  for (int turn = 0; turn < TURNS_MAX && counts.drains == 0; turn++) site_turn(site);
  assert_int_equal(counts.drains, 1);
  assert_true(exchange_write(second, "x", 1));
  second->owner = NULL;
  exchange_end(second);
  close(client);
  site_wait_empty(site);
}

static void cuts_what_cannot_be_completed(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, GET_HELD GET_HELLO);
  struct exchange *exchange = site_wait_held(site, 1);
  begin(exchange, "one", EXCHANGE_LENGTH_UNKNOWN);
  exchange_cut(exchange);
  client_expect(site, client, CHUNKED_HEAD "3\r\none\r\n");
  client_expect_end(site, client);
  assert_int_equal(site->sent_count, 1);
  assert_false(site->delivered);
}

static void takes_what_is_written_for_one_who_has_gone(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, GET_HELD);
  struct exchange *exchange = site_wait_held(site, 1);
  begin(exchange, "one", EXCHANGE_LENGTH_UNKNOWN);
  client_reset(client);
  site_wait_empty(site);
  assert_int_equal(site->gone_count, 1);
  assert_true(exchange_write(exchange, "two", 3));
  exchange_end(exchange);
  site_turn(site);
  assert_int_equal(site->sent_count, 1);
  assert_false(site->delivered);
}

static void expect_read(struct exchange *exchange, const char *expected) {
  struct buffer got = {0};
  exchange_read(exchange, &got);
  assert_slice((struct slice){got.data ? got.data : "", got.len}, expected);
  buffer_finish(&got);
}

static void hands_out_a_body_as_it_comes(void **state) {
  struct site *site = *state;
  struct counts counts = {0};
  int client = site_connect(site);
  client_send(client, POST_HELD "Transfer-Encoding: chunked\r\n\r\n");
  struct exchange *exchange = site_wait_held(site, 1);
  exchange->owner = &counts;
  assert_int_equal(exchange->body, EXCHANGE_BODY_COMING);
  expect_read(exchange, "");
  client_send(client, "3\r\nabc\r\n");
  for (int turn = 0; turn < TURNS_MAX && counts.bodies < 1; turn++) site_turn(site);
  expect_read(exchange, "abc");
  client_send(client, "2\r\nde\r\n0\r\n\r\n" GET_HELLO);
  for (int turn = 0; turn < TURNS_MAX && counts.bodies < 3; turn++) site_turn(site);
  assert_int_equal(exchange->body, EXCHANGE_BODY_WHOLE);
  expect_read(exchange, "de");
  site_respond(site, 0, "done");
  client_expect(site, client, OK_HEAD("4") "done" OK_HEAD("5") "hello");
  close(client);
}

/* What nobody takes stays with the client. */
static void stops_reading_a_body_that_is_not_taken(void **state) {
  enum { BODY = 1 << 20 };
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, POST_HELD "Content-Length: 1048576\r\n\r\n");
  struct exchange *exchange = site_wait_held(site, 1);
  char *body = memory_alloc_zero(BODY);
  struct buffer got = {0};
  size_t sent = 0, most = 0;
  for (int turn = 0; turn < TURNS_MAX && exchange->body == EXCHANGE_BODY_COMING; turn++) {
    ssize_t len = send(client, body, BODY - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (len > 0) sent += (size_t)len;
    for (int i = 0; i < TURNS_FEW; i++) site_turn(site);
    size_t waiting = exchange->request.body.len;
    if (waiting > most) most = waiting;
    exchange_read(exchange, &got);
  }
  assert_int_equal(exchange->body, EXCHANGE_BODY_WHOLE);
  exchange_read(exchange, &got);
  assert_int_equal(got.len, BODY);
  assert_in_range(most, 1, BODY_PAUSE_BYTES + INPUT_BYTES);
  site_respond(site, 0, "done");
  client_expect(site, client, OK_HEAD("4") "done");
  buffer_finish(&got);
  free(body);
  close(client);
}

static void closes_behind_an_answer_that_comes_before_the_body(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, POST_HELD "Content-Length: 10\r\n\r\nabc");
  site_wait_held(site, 1);
  site_respond(site, 0, "done");
  client_expect(site, client, CLOSE_HEAD("4") "done");
  client_send(client, "defghij" GET_HELLO);
  client_expect_end(site, client);
}

static void finishes_a_body_while_the_hub_drains(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, POST_HELD "Content-Length: 6\r\n\r\nabc");
  struct exchange *exchange = site_wait_held(site, 1);
  hub_drain(&site->hub);
  client_send(client, "def");
  for (int turn = 0; turn < TURNS_MAX && exchange->body == EXCHANGE_BODY_COMING; turn++)
    site_turn(site);
  expect_read(exchange, "abcdef");
  site_respond(site, 0, "done");
  client_expect(site, client, CLOSE_HEAD("4") "done");
  client_expect_end(site, client);
}

static struct exchange *break_body(struct site *site, int client, const char *rest) {
  client_send(client, POST_HELD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  struct exchange *exchange = site_wait_held(site, 1);
  if (rest) client_send(client, rest);
  for (int turn = 0; rest && turn < TURNS_MAX && exchange->body == EXCHANGE_BODY_COMING; turn++)
    site_turn(site);
  return exchange;
}

static void says_what_is_wrong_with_a_body(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  struct exchange *exchange = break_body(site, client, "no size\r\n");
  assert_int_equal(exchange->body, EXCHANGE_BODY_BROKEN);
  assert_int_equal(exchange->body_status, 400);
  site_respond(site, 0, "done");
  client_expect(site, client, CLOSE_HEAD("4") "done");
  client_expect_end(site, client);
}

static void gives_up_a_body_that_does_not_come(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  struct exchange *exchange = break_body(site, client, NULL);
  site_advance(site, site->limits.body_timeout_ms - 1);
  assert_int_equal(exchange->body, EXCHANGE_BODY_COMING);
  site_advance(site, 2);
  assert_int_equal(exchange->body, EXCHANGE_BODY_BROKEN);
  assert_int_equal(exchange->body_status, 408);
  site_respond(site, 0, "done");
  client_expect(site, client, CLOSE_HEAD("4") "done");
  client_expect_end(site, client);
}

static void tells_when_the_client_ends_in_the_middle(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  struct exchange *exchange = break_body(site, client, NULL);
  assert_false(exchange_has_left(exchange));
  shutdown(client, SHUT_WR);
  for (int turn = 0; turn < TURNS_MAX && exchange->body == EXCHANGE_BODY_COMING; turn++)
    site_turn(site);
  assert_int_equal(exchange->body, EXCHANGE_BODY_BROKEN);
  assert_int_equal(exchange->body_status, 0);
  assert_true(exchange_has_left(exchange));
  site_respond(site, 0, "done");
  client_expect(site, client, CLOSE_HEAD("4") "done");
  client_expect_end(site, client);
}

static void continues_when_the_body_is_asked_for(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, POST_HELD "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  struct exchange *exchange = site_wait_held(site, 1);
  client_expect_nothing(site, client);
  expect_read(exchange, "");
  client_expect(site, client, "HTTP/1.1 100 Continue\r\n\r\n");
  client_send(client, "abc");
  for (int turn = 0; turn < TURNS_MAX && exchange->body == EXCHANGE_BODY_COMING; turn++)
    site_turn(site);
  expect_read(exchange, "abc");
  site_respond(site, 0, "done");
  client_expect(site, client, OK_HEAD("4") "done");
  close(client);
}

int main(void) {
  const struct CMUnitTest specs[] = {
      STREAM_TEST(streams_in_chunks_before_the_next_response),
      STREAM_TEST(streams_a_known_length),
      STREAM_TEST(ends_with_the_connection_for_http_1_0),
      STREAM_TEST(has_no_body_for_head),
      STREAM_TEST(waits_for_its_turn),
      STREAM_TEST(cuts_what_cannot_be_completed),
      STREAM_TEST(takes_what_is_written_for_one_who_has_gone),
      STREAM_TEST(hands_out_a_body_as_it_comes),
      STREAM_TEST(stops_reading_a_body_that_is_not_taken),
      STREAM_TEST(closes_behind_an_answer_that_comes_before_the_body),
      STREAM_TEST(finishes_a_body_while_the_hub_drains),
      STREAM_TEST(says_what_is_wrong_with_a_body),
      STREAM_TEST(gives_up_a_body_that_does_not_come),
      STREAM_TEST(tells_when_the_client_ends_in_the_middle),
      STREAM_TEST(continues_when_the_body_is_asked_for),
  };
  return cmocka_run_group_tests(specs, NULL, NULL);
}
