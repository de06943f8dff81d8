/* connection_spec.c - whole connections over loopback: raw bytes in, exact bytes out.
 *
 * Each spec has a site (hub, listener, router, stub handlers, a clock that stands still) and real
 * sockets. Nothing sleeps: the loop turns until the bytes are there, up to a limit. The Date field
 * is checked for its length and left out of what is compared. */
#include "http_site.h"

static void answers_and_keeps_the_connection(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  for (int i = 0; i < 3; i++) {
    client_send(client, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    client_expect(site, client, OK_HEAD("5") "hello");
  }
  assert_int_equal(site->hub.connection_count, 1);
  assert_int_equal(site->hub.exchange_count, 0);
  close(client);
  site_wait_empty(site);
}

static void gives_the_handler_what_was_sent(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client,
              "POST /held?a=b HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nContent-Length: 3\r\n\r\nxyz");
  struct exchange *exchange = site_wait_held(site, 1);
  const struct request *request = &exchange->request;
  assert_int_equal(request->method, METHOD_POST);
  assert_int_equal(request->minor, 1);
  assert_slice(request_target(request), "/held?a=b");
  assert_slice(request->uri.query, "a=b");
  assert_slice(request_body(request), "xyz");
  assert_slice(request_field_value(request, request_find(request, (struct slice){"x-one", 5}, 0)),
               "1");
  const char *peer = exchange_peer(exchange);
  assert_string_equal(peer, "127.0.0.1");
  site_respond(site, 0, "done");
  client_expect(site, client, OK_HEAD("4") "done");
  assert_int_equal(site->sent_count, 1);
  assert_true(site->delivered);
  close(client);
}

static void takes_input_byte_by_byte(void **state) {
  struct site *site = *state;
  static const char request[] =
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd"
      "POST /echo HTTP/1.1\r\nHost:h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n";
  int client = site_connect(site);
  for (size_t i = 0; i < sizeof request - 1; i++) {
    uint64_t seen = site->hub.counts.bytes_in;
    client_send_bytes(client, request + i, 1);
    for (int turn = 0; turn < TURNS_MAX && site->hub.counts.bytes_in == seen; turn++)
      site_turn(site);
  }
  client_expect(site, client, OK_HEAD("4") "abcd" OK_HEAD("5") "abcde");
  close(client);
}

static void orders_pipelined_responses(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, "GET /held HTTP/1.1\r\nHost: h\r\n\r\nGET /held HTTP/1.1\r\nHost: h\r\n\r\n"
                      "GET /hello HTTP/1.1\r\nHost: h\r\n\r\nGET /no HTTP/1.1\r\nHost: h\r\n\r\n"
                      "GET /held HTTP/1.1\r\nHost: h\r\n\r\n");
  site_wait_held(site, 3);
  site_respond(site, 2, "third");
  client_expect_nothing(site, client);
  site_respond(site, 0, "first");
  client_expect(site, client, OK_HEAD("5") "first");
  assert_int_equal(site->sent_count, 1);
  site_respond(site, 1, "second");
  client_expect(site, client,
                OK_HEAD("6") "second" OK_HEAD("5") "hello" NOT_FOUND("") OK_HEAD("5") "third");
  assert_int_equal(site->sent_count, 3);
  close(client);
}

static void survives_synchronous_answers(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  enum { REQUESTS = 100 };
  for (int i = 0; i < REQUESTS; i++) client_send(client, "GET /sync HTTP/1.1\r\nHost: h\r\n\r\n");
  for (int i = 0; i < REQUESTS; i++) client_expect(site, client, OK_HEAD("4") "sync");
  close(client);
}

static void writes_once_for_a_turn(void **state) {
  struct site *site = *state;
  int client = site_pair(site);
  client_send(client, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
                      "GET /no HTTP/1.1\r\nHost: h\r\n\r\n");
  char message[4096];
  ssize_t len = -1;
  for (int turn = 0; turn < TURNS_MAX && len < 0; turn++) {
    site_turn(site);
    len = recv(client, message, sizeof message, MSG_DONTWAIT);
  }
  assert_true(len > 0);
  struct buffer text = {0};
  buffer_add(&text, message, (size_t)len);
  cut_dates(&text);
  assert_slice((struct slice){text.data, text.len},
               OK_HEAD("5") "hello" OK_HEAD("5") "hello" NOT_FOUND(""));
  buffer_finish(&text);
  assert_int_equal(recv(client, message, sizeof message, MSG_DONTWAIT), -1);
  close(client);
}

static void pauses_when_too_many_are_in_flight(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  enum { REQUESTS = 40 };
  for (int i = 0; i < REQUESTS; i++) client_send(client, "GET /held HTTP/1.1\r\nHost: h\r\n\r\n");
  site_wait_held(site, PIPELINE_MAX);
  for (int i = 0; i < TURNS_FEW; i++) site_turn(site);
  assert_int_equal(site->held_count, PIPELINE_MAX);
  for (int i = 0; i < REQUESTS; i++) {
    site_wait_held(site, (unsigned)i + 1);
    site_respond(site, (unsigned)i, "x");
    client_expect(site, client, OK_HEAD("1") "x");
  }
  client_send(client, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  client_expect(site, client, OK_HEAD("5") "hello");
  close(client);
}

/* It may be one that has closed, so the response does not count as delivered. */
static void answers_a_half_closed_client(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, "GET /held HTTP/1.1\r\nHost: h\r\n\r\n");
  shutdown(client, SHUT_WR);
  site_wait_held(site, 1);
  for (int turn = 0; turn < TURNS_MAX && !site->half_closed_count; turn++) site_turn(site);
  assert_int_equal(site->half_closed_count, 1);
  assert_int_equal(site->gone_count, 0);
  site_respond(site, 0, "late");
  client_expect(site, client, CLOSE_HEAD("4") "late");
  client_expect_end(site, client);
  assert_false(site->delivered);
  site_wait_empty(site);
}

static void reports_a_client_that_is_gone(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, "GET /held HTTP/1.1\r\nHost: h\r\n\r\nGET /held HTTP/1.1\r\nHost: h\r\n\r\n"
                      "GET /held HTTP/1.1\r\nHost: h\r\n\r\n");
  site_wait_held(site, 3);
  site_respond(site, 1, "ready before its turn");
  client_reset(client);
  site_wait_empty(site);
  assert_int_equal(site->gone_count, 2);
  assert_int_equal(site->sent_count, 1);
  assert_false(site->delivered);
  site_respond(site, 0, "nobody reads");
  site_turn(site);
  assert_int_equal(site->sent_count, 2);
  assert_false(site->delivered);
  assert_slice(request_target(&site->held[2]->request), "/held");
  exchange_release(site->held[2]);
  assert_int_equal(site->hub.exchange_count, 0);
}

static void forgets_a_request_that_is_cut_off(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc");
  for (int turn = 0; turn < TURNS_MAX && !site->hub.counts.bytes_in; turn++) site_turn(site);
  client_reset(client);
  site_wait_empty(site);
  assert_int_equal(site->gone_count + site->sent_count, 0);
}

static void accepts_a_body_after_100(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, "GET /held HTTP/1.1\r\nHost: h\r\n\r\nPOST /echo HTTP/1.1\r\nHost: h\r\n"
                      "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  site_wait_held(site, 1);
  client_expect_nothing(site, client);
  site_respond(site, 0, "first");
  client_expect(site, client,
                OK_HEAD("5") "first"
                             "HTTP/1.1 100 Continue\r\n\r\n");
  client_send(client, "hi");
  client_expect(site, client, OK_HEAD("2") "hi");
  client_send(client, "POST /no HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                      "Content-Length: 2\r\n\r\nhi");
  client_expect(site, client, NOT_FOUND("Connection: close\r\n"));
  client_expect_end(site, client);
}

static void drains_what_follows_a_413(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  enum { CHUNK = 65536, CHUNKS = 40 };
  static const char chunk[CHUNK];
  client_send(client, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2621440\r\n\r\n");
  for (int i = 0; i < CHUNKS; i++) {
    size_t left = CHUNK;
    while (left > 0) {
      ssize_t sent = send(client, chunk, left, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent > 0) left -= (size_t)sent;
      assert_true(sent > 0 || errno == EAGAIN);
      site_turn(site);
    }
  }
  client_expect(site, client, REFUSED("413 Content Too Large", "30", "Content Too Large"));
  client_expect_end(site, client);
  site_wait_empty(site);
}

static void stops_dropping_input_after_a_while(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /hello HT");
  client_expect(site, client, CLOSE_HEAD("5") "hello");
  client_expect_end_open(site, client);
  assert_int_equal(site->hub.connection_count, 1);
  site_advance(site, LINGER_MS);
  site_wait_empty(site);
  close(client);
}

static void refuses_an_endless_chunked_body(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 3; i++) {
    static const char chunk[500] = "1f0\r\n";
    struct buffer bytes = {0};
    buffer_add_text(&bytes, chunk);
    memset(buffer_reserve(&bytes, 0x1f0), 'x', 0x1f0);
    bytes.len += 0x1f0;
    buffer_add_text(&bytes, "\r\n");
    client_send_bytes(client, bytes.data, bytes.len);
    buffer_finish(&bytes);
  }
  client_expect(site, client, REFUSED("413 Content Too Large", "30", "Content Too Large"));
  client_expect_end(site, client);
}

static void stays_small_when_idle(void **state) {
  struct site *site = *state;
  assert_true(sizeof(struct connection) + 16 <= IDLE_BYTES_MAX);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  enum { CLIENTS = 200 };
  int clients[CLIENTS];
  int first = site_connect(site);
  client_send(first, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  client_expect(site, first, OK_HEAD("5") "hello");
  size_t before = mallinfo2().uordblks;
  for (int i = 0; i < CLIENTS; i++) {
    clients[i] = site_connect(site);
    client_send(clients[i], "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    client_expect(site, clients[i], OK_HEAD("5") "hello");
  }
  size_t each = (mallinfo2().uordblks - before) / CLIENTS;
  print_message("an idle connection holds %zu bytes\n", each);
  assert_true(each <= IDLE_BYTES_MAX);
  for (int i = 0; i < CLIENTS; i++) close(clients[i]);
  close(first);
#endif
  site_wait_empty(site);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SITE_TEST(answers_and_keeps_the_connection),
      SITE_TEST(gives_the_handler_what_was_sent),
      SITE_TEST(takes_input_byte_by_byte),
      SITE_TEST(orders_pipelined_responses),
      SITE_TEST(survives_synchronous_answers),
      SITE_TEST(writes_once_for_a_turn),
      SITE_TEST(pauses_when_too_many_are_in_flight),
      SITE_TEST(answers_a_half_closed_client),
      SITE_TEST(reports_a_client_that_is_gone),
      SITE_TEST(forgets_a_request_that_is_cut_off),
      SITE_TEST(accepts_a_body_after_100),
      SITE_TEST(drains_what_follows_a_413),
      SITE_TEST(stops_dropping_input_after_a_while),
      SITE_TEST(refuses_an_endless_chunked_body),
      SITE_TEST(stays_small_when_idle),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
