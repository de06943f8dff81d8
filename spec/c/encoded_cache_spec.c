/* encoded_cache_spec.c - what is found again, what goes first, and who still has it then.
 *
 * Bodies are filled with one letter each; the limit is a few times what one of them costs. What is
 * never freed, or twice, shows under SANITIZE=address. */
#include "http/encoded_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BODY_BYTES = 10000, BYTES_MAX = 35000, STEPS = 2000 };

static struct encoded_key key_for(uint64_t inode) {
  return (struct encoded_key){.device = 7,
                              .inode = inode,
                              .size = 30000,
                              .modified_seconds = 1700000000,
                              .modified_ns = 5,
                              .encoding = ENCODING_GZIP};
}

static struct encoded *make(char letter, size_t len) {
  struct buffer body = {0};
  memset(buffer_reserve(&body, len), letter, len);
  body.len = len;
  struct encoded *encoded = encoded_cache_make(&body);
  assert_null(body.data);
  assert_int_equal(body.len, 0);
  return encoded;
}

static void keep(struct encoded_cache *cache, uint64_t inode, char letter) {
  struct encoded_key key = key_for(inode);
  struct encoded *encoded = make(letter, BODY_BYTES);
  encoded_cache_keep(cache, &key, encoded);
  encoded_cache_release(encoded);
}

static void expect_bytes(const struct encoded *encoded, char letter) {
  assert_non_null(encoded);
  struct slice bytes = encoded_cache_bytes(encoded);
  assert_int_equal(bytes.len, BODY_BYTES);
  for (size_t i = 0; i < bytes.len; i++) assert_int_equal(bytes.data[i], letter);
}

/* `letter` 0: it is not there. */
static void expect(struct encoded_cache *cache, const struct encoded_key *key, char letter) {
  struct encoded *encoded = encoded_cache_find(cache, key);
  if (letter)
    expect_bytes(encoded, letter);
  else
    assert_null(encoded);
  encoded_cache_release(encoded);
}

static void finds_the_version_that_was_kept(void **state) {
  (void)state;
  struct encoded_cache cache;
  struct encoded_key right = key_for(1), other = right;
  encoded_cache_init(&cache, BYTES_MAX);
  expect(&cache, &right, 0);
  keep(&cache, 1, 'a');
  expect(&cache, &right, 'a');
  other.device++;
  expect(&cache, &other, 0);
  other = key_for(1 + ENCODED_CACHE_SLOTS);
  expect(&cache, &other, 0);
  other = right;
  other.size++;
  expect(&cache, &other, 0);
  other = right;
  other.modified_seconds++;
  expect(&cache, &other, 0);
  other = right;
  other.modified_ns++;
  expect(&cache, &other, 0);
  other = right;
  other.encoding = ENCODING_BROTLI;
  expect(&cache, &other, 0);
  encoded_cache_finish(&cache);
}

static void drops_what_was_not_used_longest(void **state) {
  (void)state;
  struct encoded_cache cache;
  struct encoded_key keys[] = {key_for(1), key_for(2), key_for(3), key_for(4)};
  encoded_cache_init(&cache, BYTES_MAX);
  keep(&cache, 1, 'a');
  keep(&cache, 2, 'b');
  keep(&cache, 3, 'c');
  expect(&cache, &keys[0], 'a');
  keep(&cache, 4, 'd');
  expect(&cache, &keys[1], 0);
  expect(&cache, &keys[0], 'a');
  expect(&cache, &keys[2], 'c');
  expect(&cache, &keys[3], 'd');
  encoded_cache_finish(&cache);
}

static void replaces_what_two_have_made(void **state) {
  (void)state;
  struct encoded_cache cache;
  struct encoded_key key = key_for(1);
  encoded_cache_init(&cache, BYTES_MAX);
  keep(&cache, 1, 'a');
  size_t bytes = cache.bytes;
  keep(&cache, 1, 'b');
  assert_int_equal(cache.bytes, bytes);
  expect(&cache, &key, 'b');
  encoded_cache_finish(&cache);
}

static void keeps_nothing_that_is_larger_than_the_limit(void **state) {
  (void)state;
  struct encoded_cache cache;
  struct encoded_key small = key_for(1), large = key_for(2);
  encoded_cache_init(&cache, BYTES_MAX);
  keep(&cache, 1, 'a');
  struct encoded *encoded = make('b', BYTES_MAX);
  encoded_cache_keep(&cache, &large, encoded);
  assert_int_equal(encoded_cache_bytes(encoded).len, BYTES_MAX);
  encoded_cache_release(encoded);
  expect(&cache, &large, 0);
  expect(&cache, &small, 'a');
  encoded_cache_finish(&cache);
}

static void leaves_a_body_to_who_still_uses_it(void **state) {
  (void)state;
  struct encoded_cache cache;
  struct encoded_key key = key_for(1);
  encoded_cache_init(&cache, BYTES_MAX);
  keep(&cache, 1, 'a');
  struct encoded *dropped = encoded_cache_find(&cache, &key);
  for (uint64_t inode = 2; inode < 6; inode++) keep(&cache, inode, 'x');
  expect(&cache, &key, 0);
  key = key_for(5);
  struct encoded *kept = encoded_cache_find(&cache, &key);
  encoded_cache_finish(&cache);
  expect_bytes(dropped, 'a');
  expect_bytes(kept, 'x');
  encoded_cache_release(dropped);
  encoded_cache_release(kept);
}

static void never_has_more_than_the_limit(void **state) {
  (void)state;
  struct encoded_cache cache;
  uint64_t random = 1;
  encoded_cache_init(&cache, BYTES_MAX);
  for (int i = 0; i < STEPS; i++) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    uint64_t inode = (random >> 33) % 1000;
    struct encoded_key key = key_for(inode);
    struct encoded *encoded = encoded_cache_find(&cache, &key);
    if (!encoded) {
      encoded = make((char)('a' + inode % 26), 1 + (random >> 48) % BODY_BYTES);
      encoded_cache_keep(&cache, &key, encoded);
    } else {
      assert_int_equal(*encoded_cache_bytes(encoded).data, 'a' + inode % 26);
    }
    encoded_cache_release(encoded);
    assert_true(cache.bytes > 0 && cache.bytes <= BYTES_MAX);
  }
  encoded_cache_finish(&cache);
}

static void finishes_what_never_began(void **state) {
  (void)state;
  struct encoded_cache cache = {0};
  encoded_cache_finish(&cache);
  encoded_cache_init(&cache, BYTES_MAX);
  encoded_cache_finish(&cache);
  encoded_cache_finish(&cache);
  encoded_cache_release(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_the_version_that_was_kept),
      cmocka_unit_test(drops_what_was_not_used_longest),
      cmocka_unit_test(replaces_what_two_have_made),
      cmocka_unit_test(keeps_nothing_that_is_larger_than_the_limit),
      cmocka_unit_test(leaves_a_body_to_who_still_uses_it),
      cmocka_unit_test(never_has_more_than_the_limit),
      cmocka_unit_test(finishes_what_never_began),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
