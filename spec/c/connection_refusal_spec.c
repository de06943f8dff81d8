/* connection_refusal_spec.c - what is answered without a handler: routes that are not there, and
 * requests that RFC 9110 and 9112 refuse.
 *
 * Each case is tried on a fresh connection, after a good request in the same bytes, and byte by
 * byte. */
#include "http/status.h"
#include "http_site.h"

struct refusal {
  const char *request, *response;
  bool goes_on; /* the connection takes another request */
};

#define HOST "Host: h\r\n"
#define BAD  REFUSED("400 Bad Request", "24", "Bad Request")

static const struct refusal refusals[] = {
    {"GET /no HTTP/1.1\r\n" HOST "\r\n", NOT_FOUND(""), true},
    {"POST /no HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", NOT_FOUND(""), true},
    {"DELETE /hello HTTP/1.1\r\n" HOST "\r\n",
     DETAIL_HEAD("405 Method Not Allowed", "Allow: GET, HEAD, OPTIONS\r\n", "31",
                 "") "{\"detail\":\"Method Not Allowed\"}",
     true},
    {"TRACE /hello HTTP/1.1\r\n" HOST "\r\n",
     DETAIL_HEAD("405 Method Not Allowed", "Allow: GET, HEAD, OPTIONS\r\n", "31",
                 "") "{\"detail\":\"Method Not Allowed\"}",
     true},
    {"OPTIONS /held HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, POST, OPTIONS\r\n\r\n", true},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n\r\n",
     true},
    {"GET /hello/?a=b&c HTTP/1.1\r\n" HOST "\r\n",
     HEAD("308 Permanent Redirect", "Location: /hello?a=b&c\r\n", "0", ""), true},
    {"GET /slashed HTTP/1.1\r\n" HOST "\r\n",
     HEAD("308 Permanent Redirect", "Location: /slashed/\r\n", "0", ""), true},
    {"HEAD /no HTTP/1.1\r\n" HOST "\r\n", DETAIL_HEAD("404 Not Found", "", "22", ""), true},
    {"GET http://h/no HTTP/1.1\r\n" HOST "\r\n", NOT_FOUND(""), true},
    {"GET /no HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", NOT_FOUND(""),
     true},
    {"GET /no HTTP/1.0\r\n\r\n", NOT_FOUND("Connection: close\r\n"), false},
    {"GET /no HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", NOT_FOUND("Connection: keep-alive\r\n"),
     true},
    {"GET /no HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nGET /no HTTP/1.1",
     NOT_FOUND("Connection: close\r\n"), false},
    {"GET /hello HTTP/1.1\r\n\r\n", BAD, false},
    {"GET /hello HTTP/1.1\r\n" HOST HOST "\r\n", BAD, false},
    {"GET /hello HTTP/1.1\r\n" HOST "A : b\r\n\r\n", BAD, false},
    {"GET /hello HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", BAD, false},
    {"GET /hello HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", BAD, false},
    {"GET /he\x01llo HTTP/1.1\r\n" HOST "\r\n", BAD, false},
    {"GET hello HTTP/1.1\r\n" HOST "\r\n", BAD, false},
    {"GET /hello#x HTTP/1.1\r\n" HOST "\r\n", BAD, false},
    {"GET /hello HTTX/1.1\r\n" HOST "\r\n", BAD, false},
    {"\x16\x03\x01\x02", BAD, false},
    {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: x\r\n\r\n", BAD, false},
    {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", BAD, false},
    {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", BAD,
     false},
    {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", BAD,
     false},
    {"POST /echo HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", BAD, false},
    {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", BAD, false},
    {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n",
     REFUSED("501 Not Implemented", "28", "Not Implemented"), false},
    {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n",
     REFUSED("413 Content Too Large", "30", "Content Too Large"), false},
    {"POST /echo HTTP/1.1\r\n" HOST "Expect: tea\r\nContent-Length: 1\r\n\r\n",
     REFUSED("417 Expectation Failed", "31", "Expectation Failed"), false},
    {"BREW /hello HTTP/1.1\r\n" HOST "\r\n",
     REFUSED("501 Not Implemented", "28", "Not Implemented"), false},
    {"PROPFIND /hello HTTP/1.1\r\n" HOST "\r\n",
     REFUSED("501 Not Implemented", "28", "Not Implemented"), false},
    {"CONNECT h:80 HTTP/1.1\r\n" HOST "\r\n",
     REFUSED("501 Not Implemented", "28", "Not Implemented"), false},
    {"GET /hello HTTP/2.0\r\n" HOST "\r\n",
     REFUSED("505 HTTP Version Not Supported", "39", "HTTP Version Not Supported"), false},
    {"GET /hello HTTP/1.7\r\n" HOST "\r\n", OK_HEAD("5") "hello", true},
    {"POST /echo HTTP/1.9\r\n" HOST "Content-Length: 3 \t \t\r\nA: b\r\n\r\nabc",
     OK_HEAD("3") "abc", true},
    {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\t\t\t\t\t\t\t\t\r\n\r\nabc",
     OK_HEAD("3") "abc", true},
    {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\t\t\t\t\t\t\t\t\t\r\n\r\nabc", BAD, false},
    {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\t3\r\n\r\nabc", BAD, false},
    {"GET  /hello HTTP/1.7\r\n" HOST "\r\n", BAD, false},
    {"FOO(x) /hello HTTP/1.1\r\n" HOST "\r\n", BAD, false},
    {"GETT /hello HTTP/1.1\r\n" HOST "\r\n",
     REFUSED("501 Not Implemented", "28", "Not Implemented"), false},
    {"\r\n\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n", OK_HEAD("5") "hello", true},
    {"\n\nGET /hello HTTP/1.1\r\n" HOST "\r\n", BAD, false},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
     REFUSED("505 HTTP Version Not Supported", "39", "HTTP Version Not Supported"), false},
};

static void expect_refusal(struct site *site, int client, const struct refusal *refusal) {
  site->about = refusal->request;
  client_expect(site, client, refusal->response);
  if (refusal->goes_on) {
    client_send(client, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_expect(site, client, OK_HEAD("5") "hello");
    close(client);
  } else {
    client_expect_end(site, client);
  }
  site_wait_empty(site);
}

static void refuses_alone(void **state) {
  struct site *site = *state;
  for (size_t i = 0; i < array_len(refusals); i++) {
    int client = site_connect(site);
    client_send(client, refusals[i].request);
    expect_refusal(site, client, &refusals[i]);
  }
}

static void refuses_after_earlier_answers(void **state) {
  struct site *site = *state;
  for (size_t i = 0; i < array_len(refusals); i++) {
    struct buffer bytes = {0};
    buffer_add_text(&bytes, "GET /held HTTP/1.1\r\n" HOST "\r\n");
    buffer_add_text(&bytes, refusals[i].request);
    int client = site_connect(site);
    client_send_bytes(client, bytes.data, bytes.len);
    buffer_finish(&bytes);
    site_wait_held(site, 1);
    client_expect_nothing(site, client);
    site_respond(site, 0, "good");
    site->held_count = 0;
    client_expect(site, client, OK_HEAD("4") "good");
    expect_refusal(site, client, &refusals[i]);
  }
}

static void refuses_byte_by_byte(void **state) {
  struct site *site = *state;
  for (size_t i = 0; i < array_len(refusals); i++) {
    int client = site_connect(site);
    for (const char *at = refusals[i].request; *at; at++) {
      uint64_t seen = site->hub.counts.bytes_in;
      if (send(client, at, 1, MSG_NOSIGNAL) < 0) break;
      for (int turn = 0; turn < TURNS_MAX && site->hub.counts.bytes_in == seen; turn++)
        site_turn(site);
    }
    expect_refusal(site, client, &refusals[i]);
  }
}

/* The app is asked for every answer, and has nothing to say: nothing may differ. */
static void asks_before_it_refuses(void **state) {
  struct site *site = *state;
  bool statuses[HUB_STATUS_COUNT];
  memset(statuses, true, sizeof statuses);
  site->hub.statuses = statuses;
  refuses_alone(state);
  assert_in_range(site->asked_count, array_len(refusals) / 2, array_len(refusals));
  refuses_after_earlier_answers(state);
  refuses_byte_by_byte(state);
}

/* Only for the statuses that the app wants. */
static void asks_for_what_is_wanted(void **state) {
  struct site *site = *state;
  bool statuses[HUB_STATUS_COUNT] = {[STATUS_NOT_FOUND - HUB_STATUS_MIN] = true};
  site->hub.statuses = statuses;
  int client = site_connect(site);
  client_send(client, "DELETE /hello HTTP/1.1\r\n" HOST "\r\n");
  client_expect(site, client, "HTTP/1.1 405");
  close(client);
  site_wait_empty(site);
  assert_int_equal(site->asked_count, 0);
  client = site_connect(site);
  client_send(client, "GET /no HTTP/1.1\r\n" HOST "\r\n");
  client_expect(site, client, NOT_FOUND(""));
  close(client);
  assert_int_equal(site->asked_count, 1);
}

/* A head with `target_len` bytes of target and `count` fields of `value_len` bytes. */
static void send_large(int client, size_t target_len, size_t count, size_t value_len) {
  struct buffer bytes = {0};
  buffer_add_text(&bytes, "GET /");
  for (size_t i = 1; i < target_len; i++) buffer_add_byte(&bytes, 'x');
  buffer_add_text(&bytes, " HTTP/1.1\r\n" HOST);
  for (size_t i = 0; i < count; i++) {
    buffer_add_text(&bytes, "A: ");
    for (size_t j = 0; j < value_len; j++) buffer_add_byte(&bytes, 'x');
    buffer_add_text(&bytes, "\r\n");
  }
  buffer_add_text(&bytes, "\r\n");
  client_send_bytes(client, bytes.data, bytes.len);
  buffer_finish(&bytes);
}

static void expect_large(struct site *site, size_t target_len, size_t count, size_t value_len,
                         const char *response, bool goes_on) {
  int client = site_connect(site);
  send_large(client, target_len, count, value_len);
  client_expect(site, client, response);
  if (goes_on)
    close(client);
  else
    client_expect_end(site, client);
}

static void refuses_large_heads(void **state) {
  struct site *site = *state;
  static const char uri[] = REFUSED("414 URI Too Long", "25", "URI Too Long");
  static const char fields[] =
      REFUSED("431 Request Header Fields Too Large", "44", "Request Header Fields Too Large");
  expect_large(site, 200, 1, 1, NOT_FOUND(""), true);
  expect_large(site, 201, 1, 1, uri, false);
  expect_large(site, 100000, 1, 1, uri, false);
  expect_large(site, 10, 9, 1, NOT_FOUND(""), true);
  expect_large(site, 10, 10, 1, fields, false);
  expect_large(site, 10, 1, 900, NOT_FOUND(""), true);
  expect_large(site, 10, 1, 1000, fields, false);
  expect_large(site, 10, 1, 200000, fields, false);
}

static void bounds_trailers_and_chunk_extensions(void **state) {
  struct site *site = *state;
  static const char *const starts[] = {"1;x=", "0\r\nTrailer: "};
  for (size_t i = 0; i < array_len(starts); i++) {
    struct buffer bytes = {0};
    buffer_add_text(&bytes, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    buffer_add_text(&bytes, starts[i]);
    for (int j = 0; j <= CHUNK_EXTRA_BYTES_MAX; j++) buffer_add_byte(&bytes, 'x');
    int client = site_connect(site);
    client_send_bytes(client, bytes.data, bytes.len);
    buffer_finish(&bytes);
    client_expect(
        site, client,
        REFUSED("431 Request Header Fields Too Large", "44", "Request Header Fields Too Large"));
    client_expect_end(site, client);
  }
}

static void refuses_a_request_cut_off_by_eof(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, "GET /held HTTP/1.1\r\n" HOST "\r\nGET /hello HT");
  shutdown(client, SHUT_WR);
  site_wait_held(site, 1);
  site_respond(site, 0, "good");
  client_expect(site, client, OK_HEAD("4") "good" BAD);
  client_expect_end(site, client);
}

static void answers_head_without_a_body(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  client_send(client, "HEAD /hello HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
  client_expect(site, client, OK_HEAD("5") OK_HEAD("5") "hello");
  close(client);
}

static void redirects_to_no_other_host(void **state) {
  struct site *site = *state;
  add_route(site, METHOD_GET, "/{a}/{b}", ROUTE_HELLO);
  static const char *const targets[] = {"//evil.example/", "/\\evil.example/"};
  for (size_t i = 0; i < array_len(targets); i++) {
    int client = site_connect(site);
    client_send(client, "GET ");
    client_send(client, targets[i]);
    client_send(client, " HTTP/1.1\r\n" HOST "\r\n");
    client_expect(site, client, "HTTP/1.1 404");
    close(client);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SITE_TEST(refuses_alone),
      SITE_TEST(refuses_after_earlier_answers),
      SITE_TEST(refuses_byte_by_byte),
      SITE_TEST(asks_before_it_refuses),
      SITE_TEST(asks_for_what_is_wanted),
      SITE_TEST(refuses_large_heads),
      SITE_TEST(bounds_trailers_and_chunk_extensions),
      SITE_TEST(refuses_a_request_cut_off_by_eof),
      SITE_TEST(answers_head_without_a_body),
      SITE_TEST(redirects_to_no_other_host),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
