/* response_spec.c - response heads and bodies byte for byte, field checks, dates.
 *
 * Pure: no socket, no clock. */
#include "http/date.h"
#include "http/response.h"
#include "http/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* cmocka.h needs the three above. */
#include <cmocka.h>

#define TEXT(literal) ((struct slice){(literal), sizeof(literal) - 1})

static const struct slice epoch = {"Thu, 01 Jan 1970 00:00:00 GMT", DATE_LEN};

static void expect_bytes(const struct response *response, struct response_frame frame,
                         const char *expected) {
  struct buffer out = {0};
  frame.date = epoch;
  buffer_add_text(&out, "before|");
  response_write(&out, response, &frame);
  buffer_add_byte(&out, '\0');
  assert_string_equal(out.data + strlen("before|"), expected);
  buffer_finish(&out);
}

#define DATE "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"

static void writes_head_and_body(void **state) {
  (void)state;
  struct response response = {.status = STATUS_CREATED,
                              .block = TEXT("Content-Type: text/plain\r\nX-A: 1\r\nX-Empty: \r\n"),
                              .body = TEXT("hello")};
  expect_bytes(&response, (struct response_frame){0},
               "HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nX-A: 1\r\nX-Empty: \r\n"
               "Content-Length: 5\r\n" DATE "\r\nhello");
  response = (struct response){.status = STATUS_OK};
  expect_bytes(&response, (struct response_frame){0},
               "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" DATE "\r\n");
  response.status = 299;
  expect_bytes(&response, (struct response_frame){.close = true},
               "HTTP/1.1 299 Unknown\r\nContent-Length: 0\r\n" DATE "Connection: close\r\n\r\n");
  expect_bytes(&response, (struct response_frame){.keep_alive = true},
               "HTTP/1.1 299 Unknown\r\nContent-Length: 0\r\n" DATE
               "Connection: keep-alive\r\n\r\n");
}

static void leaves_the_body_out_where_there_is_none(void **state) {
  (void)state;
  struct response response = {.status = STATUS_OK, .body = TEXT("hello")};
  expect_bytes(&response, (struct response_frame){.is_head = true},
               "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" DATE "\r\n");
  response.status = STATUS_NO_CONTENT;
  expect_bytes(&response, (struct response_frame){0}, "HTTP/1.1 204 No Content\r\n" DATE "\r\n");
  response.status = STATUS_NOT_MODIFIED;
  expect_bytes(&response, (struct response_frame){0}, "HTTP/1.1 304 Not Modified\r\n" DATE "\r\n");
  response.status = STATUS_RESET_CONTENT;
  expect_bytes(&response, (struct response_frame){0},
               "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n" DATE "\r\n");
}

static void writes_large_bodies(void **state) {
  (void)state;
  enum { BODY_BYTES = 3 * 1024 * 1024 };
  char *body = memory_alloc(BODY_BYTES);
  memset(body, 'x', BODY_BYTES);
  struct response response = {.status = STATUS_OK, .body = {body, BODY_BYTES}};
  struct response_frame frame = {.date = epoch};
  struct buffer out = {0};
  response_write(&out, &response, &frame);
  assert_memory_equal(out.data + out.len - BODY_BYTES, body, BODY_BYTES);
  assert_non_null(strstr(out.data, "Content-Length: 3145728\r\n"));
  buffer_finish(&out);
  free(body);
}

static void checks_fields(void **state) {
  (void)state;
  assert_int_equal(response_check_field(TEXT("X-A"), TEXT("a\tb c\xC3\xA4")), RESPONSE_FIELD_OK);
  assert_int_equal(response_check_field(TEXT("x"), TEXT("")), RESPONSE_FIELD_OK);
  const struct slice bad_names[] = {TEXT(""),       TEXT("a b"), TEXT("a:"),
                                    TEXT("a\r\nb"), TEXT("a\0"), TEXT("\xC3\xA4")};
  for (size_t i = 0; i < array_len(bad_names); i++)
    assert_int_equal(response_check_field(bad_names[i], TEXT("v")), RESPONSE_FIELD_INVALID);
  const struct slice bad_values[] = {TEXT("a\r\nSet-Cookie: x"), TEXT("a\n"), TEXT("\r"),
                                     TEXT("a\0b"), TEXT("\x7F")};
  for (size_t i = 0; i < array_len(bad_values); i++)
    assert_int_equal(response_check_field(TEXT("x"), bad_values[i]), RESPONSE_FIELD_INVALID);
  const struct slice reserved[] = {TEXT("Content-Length"), TEXT("DATE"), TEXT("connection"),
                                   TEXT("Transfer-Encoding")};
  for (size_t i = 0; i < array_len(reserved); i++)
    assert_int_equal(response_check_field(reserved[i], TEXT("1")), RESPONSE_FIELD_RESERVED);
}

static void writes_details(void **state) {
  (void)state;
  char out[RESPONSE_DETAIL_BYTES];
  struct slice detail = response_detail(out, STATUS_NOT_FOUND);
  assert_int_equal(detail.len, strlen("{\"detail\":\"Not Found\"}"));
  assert_memory_equal(detail.data, "{\"detail\":\"Not Found\"}", detail.len);
  for (int status = STATUS_FINAL_MIN; status <= STATUS_FINAL_MAX; status++)
    assert_true(response_detail(out, status).len < RESPONSE_DETAIL_BYTES);
}

static void expect_date(int64_t seconds, const char *expected) {
  char out[DATE_LEN + 1] = {0};
  date_format(out, seconds);
  assert_string_equal(out, expected);
}

static void formats_dates(void **state) {
  (void)state;
  expect_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
  expect_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
  expect_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
  expect_date(951868799, "Tue, 29 Feb 2000 23:59:59 GMT");
  expect_date(951868800, "Wed, 01 Mar 2000 00:00:00 GMT");
  expect_date(1709164800, "Thu, 29 Feb 2024 00:00:00 GMT");
  expect_date(4107542399, "Sun, 28 Feb 2100 23:59:59 GMT");
  expect_date(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
  expect_date(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void agrees_with_the_c_library(void **state) {
  (void)state;
  enum { STEP_SECONDS = 1234567 };
  for (int64_t seconds = 0; seconds < 6000000000; seconds += STEP_SECONDS) {
    time_t at = (time_t)seconds;
    struct tm parts;
    gmtime_r(&at, &parts);
    char expected[DATE_LEN + 1];
    strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    expect_date(seconds, expected);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(writes_head_and_body),
      cmocka_unit_test(leaves_the_body_out_where_there_is_none),
      cmocka_unit_test(writes_large_bodies),
      cmocka_unit_test(checks_fields),
      cmocka_unit_test(writes_details),
      cmocka_unit_test(formats_dates),
      cmocka_unit_test(agrees_with_the_c_library),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
