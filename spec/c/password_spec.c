/* password_spec.c - scrypt by the vectors of RFC 7914, and texts of password hashes.
 *
 * What Lua code sees of it is in spec/apps/async/crypto.lua. */
#include "base/base64.h"
#include "lib/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void expect_hash(int ln, int r, int p, const char *secret, const char *salt,
                        const char *hex) {
  struct password password = {
      .ln = ln, .r = r, .p = p, .salt_len = strlen(salt), .hash_len = PASSWORD_HASH_BYTES_MAX};
  char hash[PASSWORD_HASH_BYTES_MAX], text[2 * PASSWORD_HASH_BYTES_MAX + 1] = {0};
  memcpy(password.salt, salt, strlen(salt));
  assert_true(password_derive(&password, (struct slice){secret, strlen(secret)}, hash));
  base64_hex_encode(text, (struct slice){hash, sizeof hash});
  assert_string_equal(text, hex);
}

static void gives_what_rfc_7914_says(void **state) {
  (void)state;
  expect_hash(4, 1, 1, "", "",
              "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
              "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906");
  expect_hash(10, 8, 16, "password", "NaCl",
              "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
              "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640");
  expect_hash(14, 8, 1, "pleaseletmein", "SodiumChloride",
              "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
              "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887");
}

static void reads_what_it_writes(void **state) {
  struct password password = {.ln = 24, .r = 64, .p = 64}, read;
  char text[PASSWORD_TEXT_BYTES];
  (void)state;
  for (size_t salt = 0; salt <= PASSWORD_SALT_BYTES_MAX; salt++) {
    for (size_t hash = PASSWORD_HASH_BYTES_MIN; hash <= PASSWORD_HASH_BYTES_MAX; hash++) {
      password.salt_len = salt;
      password.hash_len = hash;
      memset(password.salt, (int)salt, salt);
      memset(password.hash, (int)hash, hash);
      password_write(&password, text);
      assert_true(password_parse(text, &read));
      assert_int_equal(read.salt_len, salt);
      assert_int_equal(read.hash_len, hash);
      assert_memory_equal(read.salt, password.salt, salt);
      assert_memory_equal(read.hash, password.hash, hash);
    }
  }
  assert_int_equal(read.ln, 24);
  assert_int_equal(read.r, 64);
  assert_int_equal(read.p, 64);
}

static void knows_what_is_affordable(void **state) {
  (void)state;
  assert_true(password_is_affordable(&(struct password){.ln = 15, .r = 8, .p = 1}));
  assert_true(password_is_affordable(&(struct password){.ln = 18, .r = 8, .p = 4}));
  assert_false(password_is_affordable(&(struct password){.ln = 18, .r = 8, .p = 5}));
  assert_false(password_is_affordable(&(struct password){.ln = 19, .r = 8, .p = 1}));
  assert_false(password_is_affordable(&(struct password){.ln = 24, .r = 64, .p = 64}));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gives_what_rfc_7914_says),
      cmocka_unit_test(reads_what_it_writes),
      cmocka_unit_test(knows_what_is_affordable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
