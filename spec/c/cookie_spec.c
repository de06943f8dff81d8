/* cookie_spec.c - Cookie fields taken apart; values that come back as they were.
 *
 * Inputs are copied into memory of exactly their size, so that the address sanitizer sees a read
 * past the end. */
#include "http/cookie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the three above. */
#include <cmocka.h>

/* Splits `field` and compares with "name=value|name=value|". */
static void assert_cookies(const char *field, const char *expected) {
  size_t len = strlen(field);
  char *copy = malloc(len ? len : 1);
  if (len) memcpy(copy, field, len);
  struct slice rest = {copy, len}, name, value;
  struct buffer out = {0};
  while (cookie_next(&rest, &name, &value)) {
    assert_true(name.len > 0);
    buffer_add(&out, name.data, name.len);
    buffer_add_byte(&out, '=');
    buffer_add(&out, value.data, value.len);
    buffer_add_byte(&out, '|');
  }
  buffer_add_byte(&out, '\0');
  assert_string_equal(out.data, expected);
  buffer_finish(&out);
  free(copy);
}

static void splits_pairs(void **state) {
  (void)state;
  assert_cookies("", "");
  assert_cookies("a=1", "a=1|");
  assert_cookies("a=1; b=2", "a=1|b=2|");
  assert_cookies("a=1;b=2;", "a=1|b=2|");
  assert_cookies(" a = 1 ;\tb\t=\t2\t", "a=1|b=2|");
  assert_cookies("a=1; a=2", "a=1|a=2|");
  assert_cookies("a=b=c==", "a=b=c==|");
  assert_cookies("a=", "a=|");
  assert_cookies("a=x y, z", "a=x y, z|");
}

static void passes_over_what_is_no_pair(void **state) {
  (void)state;
  assert_cookies("a", "");
  assert_cookies("=1", "");
  assert_cookies("; ;;a=1;; b;=x; =;c=2", "a=1|c=2|");
  assert_cookies("=", "");
  assert_cookies(" ", "");
}

static void takes_quotes_off(void **state) {
  (void)state;
  assert_cookies("a=\"1\"; b=\"\"", "a=1|b=|");
  assert_cookies("a=\"1; b=2\"", "a=\"1|b=2\"|");
  assert_cookies("a=\"", "a=\"|");
  assert_cookies("a=\"\"x", "a=\"\"x|");
  assert_cookies("a= \"1 2\" ", "a=1 2|");
}

static void assert_encodes(const char *value, size_t len, const char *encoded) {
  struct buffer out = {0};
  cookie_encode(&out, (struct slice){value, len});
  buffer_add_byte(&out, '\0');
  assert_string_equal(out.data, encoded);
  char *decoded = malloc(out.len);
  assert_int_equal(cookie_decode(decoded, (struct slice){out.data, out.len - 1}), len);
  assert_memory_equal(decoded, value, len);
  free(decoded);
  buffer_finish(&out);
}

static void encodes_what_may_not_stand(void **state) {
  (void)state;
  assert_encodes("", 0, "");
  assert_encodes("plain-._~!#$&'()*+/:<=>?@[]^`{|}", 32, "plain-._~!#$&'()*+/:<=>?@[]^`{|}");
  assert_encodes("a b", 3, "a%20b");
  assert_encodes("\"x\"", 3, "%22x%22");
  assert_encodes(",;\\%", 4, "%2C%3B%5C%25");
  assert_encodes("\r\n\t", 3, "%0D%0A%09");
  assert_encodes("a\0b", 3, "a%00b");
  assert_encodes("caf\xc3\xa9\x7f\xff", 7, "caf%C3%A9%7F%FF");
}

static void brings_every_byte_back(void **state) {
  (void)state;
  for (int byte = 0; byte < 256; byte++) {
    char value = (char)byte, decoded[3];
    struct buffer out = {0};
    cookie_encode(&out, (struct slice){&value, 1});
    assert_true(out.len <= sizeof decoded);
    assert_int_equal(cookie_decode(decoded, (struct slice){out.data, out.len}), 1);
    assert_int_equal((unsigned char)decoded[0], byte);
    buffer_finish(&out);
  }
}

static void leaves_malformed_escapes(void **state) {
  (void)state;
  char out[8];
  assert_int_equal(cookie_decode(out, (struct slice){"100%", 4}), 4);
  assert_memory_equal(out, "100%", 4);
  assert_int_equal(cookie_decode(out, (struct slice){"%4x+", 4}), 4);
  assert_memory_equal(out, "%4x+", 4);
  assert_int_equal(cookie_decode(out, (struct slice){NULL, 0}), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(splits_pairs),           cmocka_unit_test(passes_over_what_is_no_pair),
      cmocka_unit_test(takes_quotes_off),       cmocka_unit_test(encodes_what_may_not_stand),
      cmocka_unit_test(brings_every_byte_back), cmocka_unit_test(leaves_malformed_escapes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
