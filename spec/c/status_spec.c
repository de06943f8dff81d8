/* status_spec.c - reason phrases and the range of final responses.
 *
 * A sample of the table is compared with RFC 9110 and the IANA registry. */
#include "http/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void codes_have_their_reasons(void **state) {
  (void)state;
  assert_string_equal(status_reason(100), "Continue");
  assert_string_equal(status_reason(200), "OK");
  assert_string_equal(status_reason(STATUS_NOT_FOUND), "Not Found");
  assert_string_equal(status_reason(413), "Content Too Large");
  assert_string_equal(status_reason(422), "Unprocessable Content");
  assert_string_equal(status_reason(431), "Request Header Fields Too Large");
  assert_string_equal(status_reason(503), "Service Unavailable");
}

static void other_codes_are_unknown(void **state) {
  (void)state;
  static const int codes[] = {-1, 0, 99, 299, 306, 418, 499, 599, 600, 1000};
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    assert_string_equal(status_reason(codes[i]), "Unknown");
}

static void final_responses_are_200_to_599(void **state) {
  (void)state;
  assert_true(status_is_valid(200));
  assert_true(status_is_valid(299));
  assert_true(status_is_valid(599));
  assert_false(status_is_valid(101));
  assert_false(status_is_valid(199));
  assert_false(status_is_valid(600));
  assert_false(status_is_valid(0));
  assert_false(status_is_valid(-200));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(codes_have_their_reasons),
      cmocka_unit_test(other_codes_are_unknown),
      cmocka_unit_test(final_responses_are_200_to_599),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
