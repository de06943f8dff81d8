/* pattern_spec.c - what a route's pattern may be, and what is said about one that may not.
 *
 * Messages are compared whole: they are what an app's author sees. */
#include "http/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Writes the pieces as "literal|name:kind|..." with the kind as a number. */
static void describe(const struct pattern *pattern, char *out, size_t bytes) {
  size_t at = 0;
  out[0] = '\0';
  for (size_t i = 0; i < pattern->piece_count; i++) {
    const struct pattern_piece *piece = &pattern->pieces[i];
    const char *bar = i ? "|" : "";
    int added;
    if (piece->is_param)
      added = snprintf(out + at, bytes - at, "%s%.*s:%d", bar, (int)piece->text.len,
                       piece->text.data, (int)piece->kind);
    else
      added = snprintf(out + at, bytes - at, "%s%.*s", bar, (int)piece->text.len, piece->text.data);
    at += (size_t)added;
  }
}

static bool parse(struct pattern *out, const char *text, char *message, size_t bytes) {
  size_t len = strlen(text);
  char *copy = malloc(len ? len : 1); /* no terminator: the sanitizer sees a read past the end */
  if (len) memcpy(copy, text, len);
  bool is_ok = pattern_parse(out, (struct slice){copy, len}, message, bytes);
  for (size_t i = 0; is_ok && i < out->piece_count; i++)
    out->pieces[i].text.data = text + (out->pieces[i].text.data - copy);
  free(copy);
  return is_ok;
}

static void assert_pieces(const char *text, const char *expected) {
  struct pattern pattern;
  char message[256] = "", described[256];
  if (!parse(&pattern, text, message, sizeof message)) fail_msg("%s", message);
  describe(&pattern, described, sizeof described);
  assert_string_equal(described, expected);
}

static void assert_problem(const char *text, const char *expected) {
  struct pattern pattern;
  char message[256] = "";
  char quoted[256];
  (void)snprintf(quoted, sizeof quoted, "pattern \"%s\": %s", text, expected);
  assert_false(parse(&pattern, text, message, sizeof message));
  assert_string_equal(message, quoted);
}

static void takes_patterns_apart(void **state) {
  (void)state;
  assert_pieces("/", "/");
  assert_pieces("/users", "/users");
  assert_pieces("/users/", "/users/");
  assert_pieces("/{id}", "/|id:3");
  assert_pieces("/{id}/", "/|id:3|/");
  assert_pieces("/u/{id:int}/p/{_x9:float}", "/u/|id:0|/p/|_x9:2");
  assert_pieces("/{a:uuid}/{B}/{c:path}", "/|a:1|/|B:3|/|c:4");
  assert_pieces("/a:b/50%/caf\xc3\xa9", "/a:b/50%/caf\xc3\xa9");
}

static void explains_problems(void **state) {
  (void)state;
  assert_problem("", "must begin with a slash");
  assert_problem("users", "must begin with a slash");
  assert_problem("{a}", "must begin with a slash");
  assert_problem("/a//b", "an empty segment (\"//\")");
  assert_problem("//", "an empty segment (\"//\")");
  assert_problem("/a//", "an empty segment (\"//\")");
  assert_problem("/{a", "'{' without a '}' after it in the same segment");
  assert_problem("/{a/b}", "'{' without a '}' after it in the same segment");
  assert_problem("/a}", "'}' without a '{' before it in the same segment");
  assert_problem("/}a{", "'}' without a '{' before it in the same segment");
  assert_problem("/a{b}", "a parameter must be a whole segment, as in \"/a/{b}\"");
  assert_problem("/{a}b", "a parameter must be a whole segment, as in \"/a/{b}\"");
  assert_problem("/{a}{b}", "a parameter must be a whole segment, as in \"/a/{b}\"");
  assert_problem("/{a:foo}", "unknown converter \"foo\" of {a} (there are int, float, uuid, path)");
  assert_problem("/{a:}", "unknown converter \"\" of {a} (there are int, float, uuid, path)");
  assert_problem("/{a:Int}", "unknown converter \"Int\" of {a} (there are int, float, uuid, path)");
  assert_problem("/{a:path}/b", "{a:path} takes the rest of the path, so it must come last");
  assert_problem("/{a:path}/", "{a:path} takes the rest of the path, so it must come last");
  assert_problem("/{a}/{a}", "two parameters have the name \"a\"");
  assert_problem("/{a}/{b}/{a:path}", "two parameters have the name \"a\"");
}

static void explains_bad_names(void **state) {
  (void)state;
  static const char *const names[] = {"", "1a", "a-b", "a b", "{a", "a.b", "caf\xc3\xa9"};
  for (size_t i = 0; i < array_len(names); i++) {
    char text[32], expected[128];
    (void)snprintf(text, sizeof text, "/x/{%s}", names[i]);
    (void)snprintf(expected, sizeof expected,
                   "\"%s\" is no parameter name (letters, digits and _, no digit first)", names[i]);
    assert_problem(text, expected);
  }
}

static void limits_the_parameters(void **state) {
  (void)state;
  struct pattern pattern;
  char message[256], text[8 * (PATTERN_PARAMS_MAX + 1)] = "";
  size_t at = 0;
  for (int i = 0; i < PATTERN_PARAMS_MAX; i++)
    at += (size_t)snprintf(text + at, sizeof text - at, "/{p%d}", i);
  assert_true(parse(&pattern, text, message, sizeof message));
  assert_int_equal(pattern.param_count, PATTERN_PARAMS_MAX);
  assert_int_equal(pattern.piece_count, 2 * PATTERN_PARAMS_MAX);
  (void)snprintf(text + at, sizeof text - at, "/{q}");
  assert_problem(text, "more than 16 parameters");
}

static void limits_the_length(void **state) {
  (void)state;
  struct pattern pattern;
  char message[256], text[PATTERN_BYTES_MAX + 2];
  memset(text, 'a', sizeof text);
  text[0] = '/';
  text[PATTERN_BYTES_MAX + 1] = '\0';
  assert_false(parse(&pattern, text, message, sizeof message));
  assert_non_null(strstr(message, "longer than 1024 bytes"));
  text[PATTERN_BYTES_MAX] = '\0';
  assert_true(parse(&pattern, text, message, sizeof message));
}

static void cuts_long_messages(void **state) {
  (void)state;
  for (size_t bytes = 1; bytes < 64; bytes++) {
    struct pattern pattern;
    char *message = malloc(bytes);
    assert_false(parse(&pattern, "/some{thing}", message, bytes));
    assert_true(strlen(message) == bytes - 1);
    free(message);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_patterns_apart), cmocka_unit_test(explains_problems),
      cmocka_unit_test(explains_bad_names),   cmocka_unit_test(limits_the_parameters),
      cmocka_unit_test(limits_the_length),    cmocka_unit_test(cuts_long_messages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
