/* method_spec.c - names and bits of the request methods.
 *
 * Names are compared as RFC 9110 has them: whole and case-sensitive. */
#include "http/method.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void names_lead_back_to_methods(void **state) {
  (void)state;
  uint32_t seen = 0;
  for (enum method method = METHOD_GET; method < METHOD_UNKNOWN; method++) {
    const char *name = method_name(method);
    assert_int_equal(method_find(name, strlen(name)), method);
    assert_int_equal(seen & method_bit(method), 0);
    seen |= method_bit(method);
  }
  assert_int_equal(seen, (1 << METHOD_UNKNOWN) - 1);
  assert_int_equal(METHOD_ROUTABLE_COUNT, 7);
}

static void other_names_are_unknown(void **state) {
  (void)state;
  static const char *const names[] = {"", "get", "GE", "GETS", "Post", "BREW", "UNKNOWN"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    assert_int_equal(method_find(names[i], strlen(names[i])), METHOD_UNKNOWN);
  assert_int_equal(method_find("GETX", 3), METHOD_GET);
  assert_string_equal(method_name(METHOD_UNKNOWN), "UNKNOWN");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_lead_back_to_methods),
      cmocka_unit_test(other_names_are_unknown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
