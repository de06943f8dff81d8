/* multipart_spec.c - bodies as events, cut at every place; delimiters, ends and limits.
 *
 * A body is told as text: "[name|filename|type]" where a part begins, its bytes, "." at its end,
 * and what was refused as "!status detail". Each piece stands in memory of exactly its size, so
 * that the address sanitizer sees a read past the end. */
#include "http/multipart.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PART "Content-Disposition: form-data; name=\"a\"\r\n\r\n"

static void add_slice(struct buffer *out, struct slice text) {
  buffer_add(out, text.data, text.len);
}

static void tell_part(struct buffer *out, const struct part *part) {
  buffer_add_byte(out, '[');
  add_slice(out, part->name);
  if (part->is_file) {
    buffer_add_byte(out, '|');
    add_slice(out, part->filename);
  }
  if (part->content_type.len > 0) {
    buffer_add_byte(out, '|');
    add_slice(out, part->content_type);
  }
  buffer_add_byte(out, ']');
}

static void feed(struct multipart *multipart, struct slice piece, struct buffer *out) {
  struct slice data;
  char *copy = memory_copy(piece.data, piece.len);
  copy = memory_resize(copy, piece.len);
  struct slice input = {copy, piece.len};
  enum multipart_event event;
  while ((event = multipart_next(multipart, &input, &data)) != MULTIPART_MORE) {
    if (event == MULTIPART_REFUSED) break;
    if (event == MULTIPART_PART) tell_part(out, &multipart->part);
    if (event == MULTIPART_DATA) assert_true(data.len > 0);
    if (event == MULTIPART_DATA) add_slice(out, data);
    if (event == MULTIPART_END) buffer_add_byte(out, '.');
  }
  free(copy);
}

static void begin(struct multipart *multipart, const char *boundary) {
  struct form_type type = {.kind = FORM_MULTIPART, .boundary_len = strlen(boundary)};
  memcpy(type.boundary, boundary, type.boundary_len);
  multipart_init(multipart, &type);
}

static void end(struct multipart *multipart, struct buffer *out) {
  if (!multipart_end(multipart))
    buffer_printf(out, "!%d %s", multipart->problem.status, multipart->problem.detail);
  buffer_add_byte(out, '\0');
  multipart_finish(multipart);
}

/* The body in pieces: the first of `first` bytes, the others of `each`. */
static void tell(const char *boundary, struct slice body, size_t first, size_t each,
                 struct buffer *out) {
  struct multipart multipart;
  begin(&multipart, boundary);
  for (size_t at = 0, len = first; at < body.len; at += len, len = each) {
    if (len > body.len - at) len = body.len - at;
    if (len > 0) feed(&multipart, (struct slice){body.data + at, len}, out);
  }
  end(&multipart, out);
}

/* Tells the same whole, byte by byte, and cut in two at every place. */
static void assert_tells(const char *boundary, const char *text, const char *expected) {
  struct slice body = {text, strlen(text)};
  for (size_t cut = 0; cut <= body.len; cut++) {
    struct buffer out = {0};
    tell(boundary, body, cut, body.len, &out);
    assert_string_equal(out.data, expected);
    buffer_finish(&out);
  }
  for (size_t each = 1; each <= 3; each++) {
    struct buffer out = {0};
    tell(boundary, body, each, each, &out);
    assert_string_equal(out.data, expected);
    buffer_finish(&out);
  }
}

static void tells_parts(void **state) {
  (void)state;
  assert_tells("b",
               "--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n"
               "A title\r\nin two lines\r\n"
               "--b\r\nContent-Disposition: form-data; name=\"doc\"; filename=\"x.txt\"\r\n"
               "Content-Type: text/plain\r\n\r\nhello\n\r\n--b--\r\n",
               "[title]A title\r\nin two lines.[doc|x.txt|text/plain]hello\n.");
}

static void tells_empty_parts(void **state) {
  (void)state;
  assert_tells("b", "--b\r\n" PART "\r\n--b--", "[a].");
  assert_tells("b", "--b\r\n" PART "--b--", "[a].");
  assert_tells("b", "--b\r\n" PART "--b\r\n" PART "\r\n\r\n--b--", "[a].[a]\r\n.");
}

static void tells_empty_forms(void **state) {
  (void)state;
  assert_tells("b", "--b--", "");
  assert_tells("b", "--b--\r\n", "");
  assert_tells("b", "\r\n--b--\r\n", "");
}

static void ignores_preamble_and_epilogue(void **state) {
  (void)state;
  assert_tells("b", "This is\r\n--not\r\n--b\r\n" PART "1\r\n--b--\r\nThe\r\n--b\r\nend", "[a]1.");
  assert_tells("b", "-\r\n--b\r\n" PART "1\r\n--b--", "[a]1.");
  assert_tells("b", "x--b\r\n--b\r\n" PART "1\r\n--b--\r\n", "[a]1.");
}

static void allows_padding(void **state) {
  (void)state;
  assert_tells("b", "--b \t \r\n" PART "1\r\n--b\t\r\n" PART "2\r\n--b-- \t", "[a]1.[a]2.");
  assert_tells("b", "--b\r\n" PART "1\r\n--b--  \r\nend", "[a]1.");
}

static void finds_what_only_looks_like_a_delimiter(void **state) {
  (void)state;
  assert_tells("bcd", "--bcd\r\n" PART "\r\n--bce\r\n--bc\r\n--\r\r\n\r\n--bcd--",
               "[a]\r\n--bce\r\n--bc\r\n--\r\r\n.");
  assert_tells("bcd", "--bcd\r\n" PART "\r\r\n--bcd--", "[a]\r.");
  assert_tells("bcd", "--bcd\r\n" PART "--bc\r\n--bcd--", "[a]--bc.");
  assert_tells("bcd", "--bcd\r\n" PART "--\r\n--bcd--", "[a]--.");
  assert_tells("--", "----\r\n" PART "-\r\n---\r\n------", "[a]-\r\n---.");
  assert_tells("b", "--b\r\n" PART "\n--b\n--b--\r\n--b--", "[a]\n--b\n--b--.");
}

static void takes_any_bytes_as_data(void **state) {
  (void)state;
  struct buffer body = {0}, expected = {0}, out = {0};
  buffer_add_text(&body, "--b\r\n" PART);
  buffer_add_text(&expected, "[a]");
  for (int i = 0; i < 256 * 256; i++) {
    char byte = (char)(i * 7 + i / 256);
    buffer_add_byte(&body, byte);
    buffer_add_byte(&expected, byte);
  }
  buffer_add_text(&body, "\r\n--b--\r\n");
  buffer_add(&expected, ".", 2);
  for (size_t each = 1; each <= body.len; each = each * 7 + 1) {
    buffer_clear(&out);
    tell("b", (struct slice){body.data, body.len}, each, each, &out);
    assert_int_equal(out.len, expected.len);
    assert_memory_equal(out.data, expected.data, out.len);
  }
  buffer_finish(&body);
  buffer_finish(&expected);
  buffer_finish(&out);
}

static void takes_the_longest_boundary(void **state) {
  (void)state;
#define SEVENTY "0123456789012345678901234567890123456789012345678901234567890123456789"
  assert_tells(SEVENTY, "--" SEVENTY "\r\n" PART "1\r\n--" SEVENTY "--", "[a]1.");
}

static void refuses_what_follows_a_boundary(void **state) {
  (void)state;
  static const char detail[] = "!400 a boundary is followed by neither CRLF nor \"--\"";
  static const char *const first[] = {"--bc\r\n",  "--b\n",     "--b-\r\n",   "--b\rx",
                                      "--b x\r\n", "--b\r\r\n", "--b -- \r\n"};
  for (size_t i = 0; i < array_len(first); i++) assert_tells("b", first[i], detail);
  static const char *const last[] = {"--bc--", "--b--x", "--b--\n", "--b--\rx", "--b---"};
  for (size_t i = 0; i < array_len(last); i++) {
    struct buffer body = {0}, expected = {0};
    buffer_printf(&body, "--b\r\n" PART "1\r\n%s", last[i]);
    buffer_printf(&expected, "[a]1.%s", detail);
    assert_tells("b", body.data, expected.data);
    buffer_finish(&body);
    buffer_finish(&expected);
  }
}

static void refuses_bodies_without_end(void **state) {
  (void)state;
  static const char cut[] = "!400 the body ends before its last boundary";
  static const char none[] = "!400 the body does not have the boundary that Content-Type names";
  static const char whole[] = "--b\r\n" PART "1\r\n--b--";
  assert_tells("b", "", none);
  assert_tells("b", "a=1&b=2", none);
  assert_tells("c", whole, none);
  for (size_t len = 0; len < sizeof whole - 1; len++) {
    struct buffer out = {0};
    tell("b", (struct slice){whole, len}, len, len, &out);
    const char *refusal = memchr(out.data, '!', out.len);
    assert_non_null(refusal);
    assert_string_equal(refusal, len < 3 ? none : cut);
    buffer_finish(&out);
  }
  assert_tells("b", "--b\r\n" PART "1\r\n--b--\r",
               "[a]1.!400 the body ends before its last boundary");
}

static void refuses_bad_heads(void **state) {
  (void)state;
  static const char line[] = "!400 a header line of a part does not end with CRLF";
  assert_tells("b", "--b\r\nContent-Disposition: form-data; name=a\n\n1\r\n--b--", line);
  assert_tells("b", "--b\r\n\n1\r\n--b--", line);
  assert_tells("b", "--b\r\n\r\n1\r\n--b--", "!400 part 1 of the form: no Content-Disposition");
  assert_tells("b", "--b\r\n" PART "1\r\n--b\r\nX: y\r\n\r\n1\r\n--b--",
               "[a]1.!400 part 2 of the form: no Content-Disposition");
  assert_tells("b", "--b\r\n--b--\r\n\r\n",
               "!400 part 1 of the form: a header line without a colon");
}

static void limits_heads(void **state) {
  (void)state;
  for (size_t extra = 0; extra <= 1; extra++) {
    struct buffer body = {0}, out = {0};
    buffer_add_text(&body, "--b\r\nX: ");
    size_t rest = sizeof("X: \r\n" PART) - 1;
    for (size_t i = rest; i < FORM_PART_HEAD_BYTES_MAX + extra; i++) buffer_add_byte(&body, 'x');
    buffer_add_text(&body, "\r\n" PART "1\r\n--b--");
    for (size_t each = 1; each < 20000; each *= 10) {
      buffer_clear(&out);
      tell("b", (struct slice){body.data, body.len}, each, each, &out);
      assert_string_equal(out.data, extra == 0
                                        ? "[a]1."
                                        : "!413 part 1 of the form: its header is larger than 8192 "
                                          "bytes");
    }
    buffer_finish(&body);
    buffer_finish(&out);
  }
}

static void limits_parts(void **state) {
  (void)state;
  struct multipart multipart;
  struct buffer out = {0};
  static const char part[] = "--b\r\n" PART "\r\n";
  begin(&multipart, "b");
  for (int i = 0; i < FORM_PARTS_MAX; i++)
    feed(&multipart, (struct slice){part, sizeof part - 1}, &out);
  assert_int_equal(multipart.problem.status, 0);
  feed(&multipart, (struct slice){part, sizeof part - 1}, &out);
  assert_int_equal(multipart.problem.status, 413);
  assert_string_equal(multipart.problem.detail, "the form has more than 1000 parts");
  multipart_finish(&multipart);
  buffer_finish(&out);
}

static void stays_refused(void **state) {
  (void)state;
  struct multipart multipart;
  struct slice input = {"--bx", 4}, data;
  begin(&multipart, "b");
  assert_int_equal(multipart_next(&multipart, &input, &data), MULTIPART_REFUSED);
  input = (struct slice){"\r\n--b--", 7};
  assert_int_equal(multipart_next(&multipart, &input, &data), MULTIPART_REFUSED);
  assert_int_equal(input.len, 7);
  assert_false(multipart_end(&multipart));
  multipart_finish(&multipart);
  multipart_finish(&multipart);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tells_parts),
      cmocka_unit_test(tells_empty_parts),
      cmocka_unit_test(tells_empty_forms),
      cmocka_unit_test(ignores_preamble_and_epilogue),
      cmocka_unit_test(allows_padding),
      cmocka_unit_test(finds_what_only_looks_like_a_delimiter),
      cmocka_unit_test(takes_any_bytes_as_data),
      cmocka_unit_test(takes_the_longest_boundary),
      cmocka_unit_test(refuses_what_follows_a_boundary),
      cmocka_unit_test(refuses_bodies_without_end),
      cmocka_unit_test(refuses_bad_heads),
      cmocka_unit_test(limits_heads),
      cmocka_unit_test(limits_parts),
      cmocka_unit_test(stays_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
