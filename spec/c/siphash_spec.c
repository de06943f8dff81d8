/* siphash_spec.c - the hash against what others compute, and that its secret counts.
 *
 * The numbers are those of Python's hash() with PYTHONHASHSEED=0, which is SipHash-1-3 with a
 * secret of zeros; the first is from the specs of Rust. */
#include "base/siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void gives_what_others_do(void **state) {
  (void)state;
  const struct siphash_key counted = {{0x0706050403020100, 0x0F0E0D0C0B0A0908}}, zeros = {{0, 0}};
  char many[100];
  memset(many, 'x', sizeof many);
  assert_true(siphash(&counted, "", 0) == 0xABAC0158050FC4DC);
  assert_true(siphash(&zeros, "a", 1) == 0x407448D2B89B1813);
  assert_true(siphash(&zeros, "abcdefg", 7) == 0x6DB12AAE9070F506);
  assert_true(siphash(&zeros, "abcdefgh", 8) == 0x3F7B849C0B8E35EA);
  assert_true(siphash(&zeros, "perilune.shared!", 16) == 0x9CC6E9DA872B8E3C);
  assert_true(siphash(&zeros, many, sizeof many) == 0x12DE6D6E12E5750C);
}

static void secrets_differ(void **state) {
  (void)state;
  const struct siphash_key one = siphash_make_key(), other = siphash_make_key();
  assert_memory_not_equal(&one, &other, sizeof one);
  assert_true(siphash(&one, "key", 3) != siphash(&other, "key", 3));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gives_what_others_do),
      cmocka_unit_test(secrets_differ),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
