/* parameter_spec.c - parameters split off a field's value, and quotes taken off.
 *
 * Inputs are copied into memory of exactly their size, so that the address sanitizer sees a read
 * past the end. */
#include "http/parameter.h"

#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Splits `field` and compares with "value|name=value|", "!" behind it when it is malformed. */
static void assert_splits(const char *field, const char *expected) {
  size_t len = strlen(field);
  char *copy = malloc(len ? len : 1);
  if (len) memcpy(copy, field, len);
  struct slice rest = {copy, len};
  struct parameter parameter;
  struct buffer out = {0};
  enum parameter_result result;
  struct slice value = parameter_begin(&rest);
  buffer_printf(&out, "%.*s|", (int)value.len, value.data);
  while ((result = parameter_next(&rest, &parameter)) == PARAMETER_FOUND)
    buffer_printf(&out, "%.*s=%.*s|", (int)parameter.name.len, parameter.name.data,
                  (int)parameter.value.len, parameter.value.data);
  buffer_add(&out, "!", result == PARAMETER_MALFORMED ? 2 : 0);
  buffer_add_byte(&out, '\0');
  assert_string_equal(out.data, expected);
  buffer_finish(&out);
  free(copy);
}

static void splits_parameters(void **state) {
  (void)state;
  assert_splits("", "|");
  assert_splits(" form-data ", "form-data|");
  assert_splits("form-data; name=a", "form-data|name=a|");
  assert_splits("a;b=c;d=e", "a|b=c|d=e|");
  assert_splits("a\t;\t b=c \t;d=e ", "a|b=c|d=e|");
  assert_splits("a;; ;b=c;", "a|b=c|");
  assert_splits("a; b=c; b=d", "a|b=c|b=d|");
  assert_splits("; b=c", "|b=c|");
}

static void splits_quoted_strings(void **state) {
  (void)state;
  assert_splits("a; b=\"\"", "a|b=|");
  assert_splits("a; b=\"c; d=e\"; f=g", "a|b=c; d=e|f=g|");
  assert_splits("a; b=\"c\\\"; d\"; f=g", "a|b=c\\\"; d|f=g|");
  assert_splits("a; b=\"c\\\\\"; f=g", "a|b=c\\\\|f=g|");
  assert_splits("a; b=\"c\\d\"", "a|b=c\\d|");
}

static void refuses_what_is_no_parameter(void **state) {
  (void)state;
  assert_splits("a; b", "a|!");
  assert_splits("a; =c", "a|!");
  assert_splits("a; b=", "a|!");
  assert_splits("a; b =c", "a|!");
  assert_splits("a; b= c", "a|!");
  assert_splits("a; b=c d=e", "a|b=c|!");
  assert_splits("a; b=\"c", "a|!");
  assert_splits("a; b=\"c\\\"", "a|!");
  assert_splits("a; b=\"c\"d", "a|b=c|!");
  assert_splits("a; b=c\"d\"", "a|!");
  assert_splits("a; b=\"", "a|!");
}

static void assert_unquotes(const char *value, const char *expected) {
  char out[64];
  size_t len = parameter_unquote(out, (struct slice){value, strlen(value)});
  assert_int_equal(len, strlen(expected));
  assert_memory_equal(out, expected, len);
}

static void takes_backslashes_off(void **state) {
  (void)state;
  assert_unquotes("", "");
  assert_unquotes("plain", "plain");
  assert_unquotes("a\\\"b", "a\"b");
  assert_unquotes("a\\\\b", "a\\b");
  assert_unquotes("\\\\\\\"", "\\\"");
  assert_unquotes("C:\\new\\a.txt", "C:\\new\\a.txt");
  assert_unquotes("a\\", "a\\");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(splits_parameters),
      cmocka_unit_test(splits_quoted_strings),
      cmocka_unit_test(refuses_what_is_no_parameter),
      cmocka_unit_test(takes_backslashes_off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
