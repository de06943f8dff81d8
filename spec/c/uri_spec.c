/* uri_spec.c - splitting targets, percent-decoding, query pieces.
 *
 * Inputs are copied into memory of exactly their size, so that the address sanitizer sees a read
 * past the end. */
#include "http/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_slice(struct slice slice, const char *text) {
  assert_int_equal(slice.len, strlen(text));
  assert_memory_equal(slice.data, text, slice.len);
}

/* Decodes `len` bytes in place and compares. */
static void assert_decodes_bytes(const char *in, size_t len, bool plus, const char *out,
                                 size_t out_len) {
  char *copy = malloc(len ? len : 1);
  if (len) memcpy(copy, in, len);
  size_t got = uri_decode(copy, copy, len, plus);
  assert_int_equal(got, out_len);
  assert_memory_equal(copy, out, out_len);
  free(copy);
}

static void assert_decodes(const char *in, bool plus, const char *out) {
  char apart[64];
  assert_decodes_bytes(in, strlen(in), plus, out, strlen(out));
  assert_int_equal(uri_decode(apart, in, strlen(in), plus), strlen(out));
  assert_memory_equal(apart, out, strlen(out));
}

static void decodes_escapes(void **state) {
  (void)state;
  assert_decodes("", false, "");
  assert_decodes("plain", false, "plain");
  assert_decodes("a%20b", false, "a b");
  assert_decodes("%41%4a%4A", false, "AJJ");
  assert_decodes("%2F%2f", false, "//");
  assert_decodes("caf%C3%A9", false, "caf\xc3\xa9");
  assert_decodes("%25%32%35", false, "%25");
  assert_decodes_bytes("a%00b", 5, false, "a\0b", 3);
  assert_decodes_bytes("%FF%80", 6, false, "\xff\x80", 2);
}

static void leaves_malformed_escapes(void **state) {
  (void)state;
  assert_decodes("%", false, "%");
  assert_decodes("%4", false, "%4");
  assert_decodes("%zz", false, "%zz");
  assert_decodes("%4g%g4", false, "%4g%g4");
  assert_decodes("%%41", false, "%A");
  assert_decodes("100%", false, "100%");
  assert_decodes("% 41", false, "% 41");
}

static void plus_is_a_space_where_asked(void **state) {
  (void)state;
  assert_decodes("a+b", false, "a+b");
  assert_decodes("a+b%2B", true, "a b+");
}

static void decodes_every_byte(void **state) {
  (void)state;
  static const char digits[] = "0123456789abcdef";
  for (int byte = 0; byte < 256; byte++) {
    char escape[3] = {'%', digits[byte / 16], digits[byte % 16]};
    assert_int_equal(uri_read_escape(escape, escape + 3), byte);
    assert_int_equal(uri_read_escape(escape, escape + 2), -1);
  }
  static const char no_escape[] = "x41";
  assert_int_equal(uri_read_escape(no_escape, no_escape + 3), -1);
}

static void assert_split(const char *target, const char *authority, const char *path,
                         const char *query) {
  struct uri_target parts;
  size_t len = strlen(target);
  char *copy = malloc(len);
  memcpy(copy, target, len);
  assert_true(uri_split(copy, len, &parts));
  assert_slice(parts.authority, authority);
  assert_slice(parts.path, path);
  assert_slice(parts.query, query);
  free(copy);
}

static void splits_targets(void **state) {
  (void)state;
  assert_split("/", "", "/", "");
  assert_split("/a/b", "", "/a/b", "");
  assert_split("/a?b=c", "", "/a", "b=c");
  assert_split("/a?", "", "/a", "");
  assert_split("/?a?b", "", "/", "a?b");
  assert_split("/a%3Fb?c", "", "/a%3Fb", "c");
  assert_split("//a", "", "//a", "");
  assert_split("/http://x", "", "/http://x", "");
  assert_split("*", "", "*", "");
}

static void splits_absolute_targets(void **state) {
  (void)state;
  assert_split("http://example.org/a?b", "example.org", "/a", "b");
  assert_split("HTTPS://example.org:8443", "example.org:8443", "/", "");
  assert_split("http://example.org?b", "example.org", "/", "b");
  assert_split("http://[::1]:80/", "[::1]:80", "/", "");
  assert_split("http://u@h/a", "u@h", "/a", "");
}

static void refuses_other_targets(void **state) {
  (void)state;
  static const char *const targets[] = {
      "",   "a",  "example.org:443", "?a",      "http:/x",   "http:",     "http:/",
      "**", "*?", "://x/",           "1p://x/", "h tp://x/", "http:///a", "http://?a"};
  struct uri_target parts;
  for (size_t i = 0; i < array_len(targets); i++)
    assert_false(uri_split(targets[i], strlen(targets[i]), &parts));
}

/* `expected`: names and values in turn, ended by NULL. */
static void assert_pieces(const char *query, const char *const *expected) {
  struct uri_query_iter iter;
  struct slice name, value;
  size_t len = strlen(query);
  char *copy = malloc(len ? len : 1);
  if (len) memcpy(copy, query, len);
  uri_query_begin(&iter, copy, len);
  for (; *expected; expected += 2) {
    assert_true(uri_query_next(&iter, &name, &value));
    assert_slice(name, expected[0]);
    assert_slice(value, expected[1]);
  }
  assert_false(uri_query_next(&iter, &name, &value));
  assert_false(uri_query_next(&iter, &name, &value));
  free(copy);
}

#define PIECES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void iterates_queries(void **state) {
  (void)state;
  assert_pieces("", PIECES(NULL));
  assert_pieces("a=1", PIECES("a", "1"));
  assert_pieces("a=1&b=2", PIECES("a", "1", "b", "2"));
  assert_pieces("flag", PIECES("flag", ""));
  assert_pieces("flag&a=1&other", PIECES("flag", "", "a", "1", "other", ""));
  assert_pieces("a=", PIECES("a", ""));
  assert_pieces("=1", PIECES("", "1"));
  assert_pieces("=", PIECES("", ""));
  assert_pieces("a=b=c", PIECES("a", "b=c"));
  assert_pieces("&&a=1&&&b=2&&", PIECES("a", "1", "b", "2"));
  assert_pieces("&&&", PIECES(NULL));
  assert_pieces("a=1&a=2", PIECES("a", "1", "a", "2"));
  assert_pieces("a%26b=c%3Dd+e", PIECES("a%26b", "c%3Dd+e"));
  assert_pieces("a;b=1", PIECES("a;b", "1"));
}

static void iterates_nothing_at_all(void **state) {
  (void)state;
  struct uri_query_iter iter;
  struct slice name, value;
  uri_query_begin(&iter, NULL, 0);
  assert_false(uri_query_next(&iter, &name, &value));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decodes_escapes),
      cmocka_unit_test(leaves_malformed_escapes),
      cmocka_unit_test(plus_is_a_space_where_asked),
      cmocka_unit_test(decodes_every_byte),
      cmocka_unit_test(splits_targets),
      cmocka_unit_test(splits_absolute_targets),
      cmocka_unit_test(refuses_other_targets),
      cmocka_unit_test(iterates_queries),
      cmocka_unit_test(iterates_nothing_at_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
