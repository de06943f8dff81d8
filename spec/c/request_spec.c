/* request_spec.c - building requests from pieces: ranges, splits, trimming, limits, RFC 9112.
 *
 * Pure: the pieces are cut by hand, as llhttp would cut them. */
#include "http/request.h"
#include "http/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs some of the above. */
#include <cmocka.h>

#define TEXT(literal) ((struct slice){(literal), sizeof(literal) - 1})

static const struct request_limits limits = {
    .target_bytes_max = 20, .head_bytes_max = 100, .fields_max = 4};

enum place { METHOD, TARGET, VERSION, NAME, GAP, VALUE, SPACE };

/* Where the byte stands, `at` being where the one before it stood. */
static enum place next_place(enum place at, char byte) {
  if (at == METHOD && byte == ' ') return SPACE;
  if (at == SPACE) return TARGET;
  if (at == TARGET && byte == ' ') return VERSION;
  if (at == NAME && byte == ':') return GAP;
  if (at == VALUE && byte == '\r') return VERSION;
  if (at == GAP && byte == '\r') return VERSION;
  if (at == GAP && byte != ' ' && byte != '\n') return VALUE;
  return at;
}

/* Gives the pieces of "GET ", `fields` ("target HTTP/1.1\r\nname:value\r\n...") and an empty line
 * to the request, in inputs of `step` bytes, each in memory of its own that is gone afterwards. */
static request_status feed(struct request *request, const char *fields, size_t step) {
  static const enum request_part parts[] = {[METHOD] = REQUEST_METHOD,
                                            [TARGET] = REQUEST_TARGET,
                                            [NAME] = REQUEST_NAME,
                                            [VALUE] = REQUEST_VALUE};
  struct buffer head = {0};
  buffer_add_text(&head, "GET ");
  buffer_add_text(&head, fields);
  buffer_add_text(&head, "\r\n");
  enum place at = METHOD;
  request_status status = 0;
  for (size_t from = 0; from < head.len && !status; from += step) {
    size_t bytes = head.len - from < step ? head.len - from : step;
    char *input = memory_copy(head.data + from, bytes);
    request_resume(request, input);
    for (size_t i = 0; i < bytes && !status; i++) {
      bool is_empty_line = from + i + 2 >= head.len;
      at = next_place(at, input[i]);
      if (!is_empty_line && (at == METHOD || at == TARGET || at == NAME || at == VALUE))
        status = request_add(request, &limits, parts[at], input + i, 1);
      if (at == VERSION && input[i] == '\n') at = NAME;
    }
    const char *end = NULL;
    bool is_last = from + bytes == head.len;
    if (!status && is_last) {
      status = request_end(request, &limits, &end);
      if (!status) assert_ptr_equal(end, input + bytes);
    } else if (!status) {
      status = request_pause(request, &limits, input + bytes);
    }
    free(input);
  }
  buffer_finish(&head);
  return status;
}

static void assert_slice(struct slice slice, const char *expected) {
  assert_int_equal(slice.len, strlen(expected));
  assert_memory_equal(slice.data, expected, slice.len);
}

static void reads_a_head_however_it_is_cut(void **state) {
  (void)state;
  const char *head = "/a/b?c=d HTTP/1.1\r\nHost: h\r\nA:\r\nB: x y  \r\nA:2\r\n";
  struct request request = {0};
  request_clear(&request);
  for (size_t step = 1; step <= strlen(head); step++) {
    assert_int_equal(feed(&request, head, step), 0);
    assert_slice(request_target(&request), "/a/b?c=d");
    assert_slice(request.uri.path, "/a/b");
    assert_slice(request.uri.query, "c=d");
    assert_int_equal(request.field_count, 4);
    assert_slice(request_field_name(&request, 0), "Host");
    assert_slice(request_field_value(&request, 0), "h");
    assert_slice(request_field_name(&request, 1), "A");
    assert_slice(request_field_value(&request, 1), "");
    assert_slice(request_field_value(&request, 2), "x y");
    assert_slice(request_field_value(&request, 3), "2");
    request_clear(&request);
  }
  request_finish(&request);
}

static void finds_fields_in_any_case(void **state) {
  (void)state;
  struct request request = {0};
  request_clear(&request);
  assert_int_equal(feed(&request, "/ HTTP/1.1\r\nHOST:h\r\nx-A:1\r\nX-a:2\r\n", 100), 0);
  assert_int_equal(request_find(&request, TEXT("host"), 0), 0);
  assert_int_equal(request_find(&request, TEXT("X-A"), 0), 1);
  assert_int_equal(request_find(&request, TEXT("X-A"), 2), 2);
  assert_int_equal(request_find(&request, TEXT("X-A"), 3), 3);
  assert_int_equal(request_find(&request, TEXT("x"), 0), 3);
  request_finish(&request);
}

static void expect_status(const char *head, request_status expected) {
  for (size_t step = 1; step <= strlen(head); step++) {
    struct request request = {0};
    request_clear(&request);
    request_status status = feed(&request, head, step);
    if (status != expected) print_error("%s in steps of %zu\n", head, step);
    assert_int_equal(status, expected);
    request_finish(&request);
  }
}

static void keeps_limits(void **state) {
  (void)state;
  expect_status("/34567890123456789012 HTTP/1.1\r\nHost:h\r\n", STATUS_URI_TOO_LONG);
  expect_status("/3456789012345678901 HTTP/1.1\r\nHost:h\r\n", 0);
  expect_status("/ HTTP/1.1\r\nHost:h\r\nA:1\r\nB:1\r\nC:1\r\n", 0);
  expect_status("/ HTTP/1.1\r\nHost:h\r\nA:1\r\nB:1\r\nC:1\r\nD:1\r\n",
                STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE);
  char head[300] = "/ HTTP/1.1\r\nHost:h\r\nA: ";
  memset(head + strlen(head), 'x', 100);
  memcpy(head + strlen(head), "\r\n", 3);
  expect_status(head, STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE);
}

static void refuses_what_rfc_9112_refuses(void **state) {
  (void)state;
  expect_status("/ HTTP/1.1\r\nA:1\r\n", STATUS_BAD_REQUEST);
  expect_status("/ HTTP/1.1\r\nHost:h\r\nhost:h\r\n", STATUS_BAD_REQUEST);
  expect_status("/ HTTP/1.1\r\nHost:h\r\nA: \n b\r\n", STATUS_BAD_REQUEST);
  expect_status("/ HTTP/1.1\r\nHost:h\nA:1\r\n", STATUS_BAD_REQUEST);
  expect_status("/ HTTP/1.1\nHost:h\r\n", STATUS_BAD_REQUEST);
  expect_status("/  HTTP/1.1\r\nHost:h\r\n", STATUS_BAD_REQUEST);
  expect_status("/ RTSP/1.1\r\nHost:h\r\n", STATUS_BAD_REQUEST);
  expect_status("/ HTTP/2.0\r\nHost:h\r\n", STATUS_HTTP_VERSION_NOT_SUPPORTED);
  expect_status("/ HTTP/1.0\r\n", 0);
  expect_status("/#f HTTP/1.1\r\nHost:h\r\n", STATUS_BAD_REQUEST);
  expect_status("/%zz HTTP/1.1\r\nHost:h\r\n", STATUS_BAD_REQUEST);
  expect_status("* HTTP/1.1\r\nHost:h\r\n", STATUS_BAD_REQUEST);
  expect_status("host:80 HTTP/1.1\r\nHost:h\r\n", STATUS_BAD_REQUEST);
  expect_status("http://u@h/ HTTP/1.1\r\nHost:h\r\n", STATUS_BAD_REQUEST);
  expect_status("/ HTTP/1.1\r\nHost:h h\r\n", STATUS_BAD_REQUEST);
  expect_status("/ HTTP/1.1\r\nHost:h\r\nExpect: 100-Continue\r\n", 0);
  expect_status("/ HTTP/1.1\r\nHost:h\r\nExpect: tea\r\n", STATUS_EXPECTATION_FAILED);
}

static void tells_codings_apart(void **state) {
  (void)state;
  static const struct {
    const char *coding;
    request_status status;
  } rows[] = {
      {"chunked", 0},
      {"Chunked", 0},
      {"gzip, chunked", STATUS_NOT_IMPLEMENTED},
      {"gzip chunked", STATUS_NOT_IMPLEMENTED},
      {"gzip", STATUS_BAD_REQUEST},
      {"xchunked", STATUS_BAD_REQUEST},
      {"chunked;q=1", STATUS_BAD_REQUEST},
      {"chunked\r\nTransfer-Encoding: chunked", STATUS_BAD_REQUEST},
  };
  for (size_t i = 0; i < array_len(rows); i++) {
    struct buffer head = {0};
    buffer_add_text(&head, "/ HTTP/1.1\r\nHost:h\r\nTransfer-Encoding: ");
    buffer_add_text(&head, rows[i].coding);
    buffer_add(&head, "\r\n", sizeof "\r\n");
    expect_status(head.data, rows[i].status);
    buffer_finish(&head);
  }
}

static void reads_connection(void **state) {
  (void)state;
  static const struct {
    const char *version, *fields;
    bool keep_alive;
  } rows[] = {
      {"1.1", "", true},
      {"1.0", "", false},
      {"1.1", "Connection: close\r\n", false},
      {"1.1", "Connection: CLOSE\t\r\n", false},
      {"1.1", "Connection: a,close,b\r\n", false},
      {"1.1", "Connection: keep-alive, close\r\n", false},
      {"1.1", "Connection: a\r\nConnection: close\r\n", false},
      {"1.1", "Connection: closed, xclose\r\n", true},
      {"1.0", "Connection: keep-alive\r\n", true},
      {"1.0", "Connection: a ,\tkeep-Alive\r\n", true},
      {"1.0", "Connection: keep-alive, close\r\n", false},
  };
  for (size_t i = 0; i < array_len(rows); i++) {
    char head[100];
    (void)snprintf(head, sizeof head, "/ HTTP/%s\r\nHost:h\r\n%s", rows[i].version, rows[i].fields);
    struct request request = {0};
    request_clear(&request);
    assert_int_equal(feed(&request, head, 7), 0);
    assert_int_equal(request.keep_alive, rows[i].keep_alive);
    request_finish(&request);
  }
}

static void refuses_folded_values(void **state) {
  (void)state;
  const char *head = "GET / A: x\r\n y";
  struct request request = {0};
  request_clear(&request);
  request_add(&request, &limits, REQUEST_METHOD, head, 3);
  request_add(&request, &limits, REQUEST_TARGET, head + 4, 1);
  request_add(&request, &limits, REQUEST_NAME, head + 6, 1);
  assert_int_equal(request_add(&request, &limits, REQUEST_VALUE, head + 9, 1), 0);
  assert_int_equal(request_add(&request, &limits, REQUEST_VALUE, head + 13, 1), STATUS_BAD_REQUEST);
  request_finish(&request);
}

static void finish_takes_zeroed_memory(void **state) {
  (void)state;
  struct request request = {0};
  request_finish(&request);
  request_finish(&request);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_a_head_however_it_is_cut),
      cmocka_unit_test(finds_fields_in_any_case),
      cmocka_unit_test(keeps_limits),
      cmocka_unit_test(refuses_what_rfc_9112_refuses),
      cmocka_unit_test(tells_codings_apart),
      cmocka_unit_test(reads_connection),
      cmocka_unit_test(refuses_folded_values),
      cmocka_unit_test(finish_takes_zeroed_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
