/* policy_spec.c - a response's own fields and the app's, put together byte for byte.
 *
 * Pure: requests are made from text. */
#include "http/policy.h"

#include "made_request.h"

#include <setjmp.h>
#include <stdarg.h>
/* cmocka.h needs the two above, stdlib.h and string.h. */
#include <cmocka.h>

static struct slice text(const char *literal) {
  return (struct slice){literal, strlen(literal)};
}

static void assert_written(const struct policy *policy, const char *request_lines,
                           const char *block, struct policy_coding coding, const char *expected) {
  struct request request = make_request(METHOD_GET, request_lines);
  struct buffer out = {0};
  policy_write(&out, policy, &request, text(block), coding);
  buffer_add_byte(&out, '\0');
  assert_string_equal(out.data, expected);
  buffer_finish(&out);
  request_finish(&request);
}

static const struct policy_coding plain;

static void adds_fields_that_are_not_there(void **state) {
  (void)state;
  struct policy *policy = policy_create();
  assert_written(policy, "", "A: 1\r\n", plain, "A: 1\r\n");
  assert_written(policy, "", "", plain, "");
  policy_add_field(policy, text("X-Frame-Options"), text("DENY"));
  policy_add_field(policy, text("Link"), text("a"));
  policy_add_field(policy, text("Link"), text("b"));
  assert_written(policy, "", "", plain, "X-Frame-Options: DENY\r\nLink: a\r\nLink: b\r\n");
  assert_written(policy, "", "x-frame-OPTIONS: SAMEORIGIN\r\n", plain,
                 "x-frame-OPTIONS: SAMEORIGIN\r\nLink: a\r\nLink: b\r\n");
  assert_written(policy, "", "link: c\r\n", plain, "link: c\r\nX-Frame-Options: DENY\r\n");
  policy_destroy(policy);
  policy_destroy(NULL);
}

static void merges_vary(void **state) {
  (void)state;
  static const struct policy_coding varies = {.varies = true};
  assert_written(NULL, "", "A: 1\r\n", varies, "A: 1\r\nVary: Accept-Encoding\r\n");
  assert_written(NULL, "", "Vary: X, accept-encoding\r\nA: 1\r\n", varies,
                 "A: 1\r\nVary: X, accept-encoding\r\n");
  assert_written(NULL, "", "Vary: X\r\nA: 1\r\nvary: Y, x\r\n", varies,
                 "A: 1\r\nVary: X, Y, Accept-Encoding\r\n");
  assert_written(NULL, "", "Vary: X, *\r\n", varies, "Vary: *\r\n");
  assert_written(NULL, "", "Vary: \r\n", plain, "");
  struct policy *policy = policy_create();
  policy_add_field(policy, text("VARY"), text("Cookie"));
  policy_add_field(policy, text("vary"), text("X"));
  assert_written(policy, "", "Vary: X\r\n", varies, "Vary: X, Cookie, Accept-Encoding\r\n");
  policy_destroy(policy);
}

static void says_the_coding(void **state) {
  (void)state;
  static const struct policy_coding gzip = {.encoding = ENCODING_GZIP, .varies = true};
  static const struct policy_coding brotli = {.encoding = ENCODING_BROTLI, .varies = true};
  assert_written(NULL, "", "ETag: \"a\"\r\n", gzip,
                 "ETag: W/\"a\"\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding\r\n");
  assert_written(NULL, "", "etag: W/\"a\"\r\n", brotli,
                 "etag: W/\"a\"\r\nContent-Encoding: br\r\nVary: Accept-Encoding\r\n");
  assert_written(NULL, "", "ETag: \"a\"\r\n", plain, "ETag: \"a\"\r\n");
}

static void says_who_may_read(void **state) {
  (void)state;
  const struct slice origins[] = {text("https://a.example")};
  struct cors_options options = {
      .origins = origins, .origin_count = array_len(origins), .methods = text("GET")};
  struct policy *policy = policy_create();
  assert_null(policy_cors(policy));
  policy_set_cors(policy, cors_create(&options));
  assert_non_null(policy_cors(policy));
  assert_written(policy, "Origin: https://a.example", "Vary: Cookie\r\n", plain,
                 "Access-Control-Allow-Origin: https://a.example\r\nVary: Cookie, Origin\r\n");
  assert_written(policy, "Origin: https://b.example", "", plain, "Vary: Origin\r\n");
  assert_written(policy, "", "", plain, "Vary: Origin\r\n");
  assert_written(policy, "Origin: https://a.example", "access-control-allow-origin: *\r\n", plain,
                 "access-control-allow-origin: *\r\n");
  policy_destroy(policy);
  policy = policy_create();
  const struct slice any[] = {text("*")};
  options.origins = any;
  policy_set_cors(policy, cors_create(&options));
  assert_written(policy, "", "", plain, "Access-Control-Allow-Origin: *\r\n");
  policy_destroy(policy);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(adds_fields_that_are_not_there),
      cmocka_unit_test(merges_vary),
      cmocka_unit_test(says_the_coding),
      cmocka_unit_test(says_who_may_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
