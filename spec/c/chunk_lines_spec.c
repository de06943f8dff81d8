/* chunk_lines_spec.c - the lines around the data of chunks, in one piece and byte by byte.
 *
 * Pure: the data is left out by hand, as reader.c would. What a whole connection does with chunks
 * is spec/rfc9112_spec.lua's. */
#include "http/chunk_lines.h"

#include "base/base.h"
#include "base/buffer.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs some of the above. */
#include <cmocka.h>

/* Feeds `text` in pieces of `step` bytes; gives the status, or how many bytes are left when the
 * body is done, or -1 while it is not. */
static int feed(const char *text, size_t len, size_t step) {
  struct chunk_lines lines = {0};
  for (size_t from = 0; from < len; from += step) {
    size_t bytes = len - from < step ? len - from : step;
    char *piece = memory_copy(text + from, bytes);
    const char *at = piece;
    int status = chunk_lines_feed(&lines, &at, piece + bytes);
    size_t taken = from + (size_t)(at - piece);
    free(piece);
    if (status) return status;
    if (chunk_lines_is_done(&lines)) return (int)(len - taken);
    assert_int_equal(taken, from + bytes);
  }
  return -1;
}

/* Data is left out: "5\r\n" is followed by what stands behind the five bytes. */
static void takes_good_lines(void **state) {
  (void)state;
  static const char *const texts[] = {
      "0\r\n\r\n",
      "5\r\n\r\n0\r\n\r\n",
      "aF\r\n\r\n0000000000000001\r\n\r\n000\r\n\r\n",
      "5;a=b;c=\"d;e\"\r\n\r\n0;x\r\n\r\n",
      "0\r\nA: b\r\nC:\r\n\r\n",
  };
  for (size_t i = 0; i < array_len(texts); i++) {
    for (size_t step = 1; step <= strlen(texts[i]); step++)
      assert_int_equal(feed(texts[i], strlen(texts[i]), step), 0);
    assert_int_equal(feed(texts[i], strlen(texts[i]) - 1, 3), -1);
  }
  assert_int_equal(feed("0\r\n\r\nGET", 8, 8), 3);
}

static void refuses_others(void **state) {
  (void)state;
  static const char *const texts[] = {
      "\r\n",
      "x",
      " 5",
      "5 \r\n",
      "5\t\r\n",
      "-5",
      "+5",
      "0x5",
      "5\n",
      "5\r\r",
      "5\rx",
      ";a",
      "5;a\n",
      "5;a\rb",
      "5\r\nx",
      "5\r\n\n",
      "5\r\n\rx",
      "5\r\n\r\n\r",
      "0\r\n\n",
      "0\r\n\rx",
      "0\r\n A: b",
      "0\r\n\tA",
      "0\r\n: b",
      "0\r\nA: b\n",
      "0\r\nA: b\r\r",
      "0\r\nA: b\r\n c",
      "0\r\nA\r\n\n",
      "00000000000000005",
  };
  for (size_t i = 0; i < array_len(texts); i++) {
    int status = feed(texts[i], strlen(texts[i]), 1);
    if (status != 400) fail_msg("%d for %s", status, texts[i]);
  }
}

static void bounds_what_is_not_used(void **state) {
  (void)state;
  static const char *const starts[] = {"1;", "0\r\nA"};
  for (size_t i = 0; i < array_len(starts); i++) {
    struct buffer text = {0};
    buffer_add_text(&text, starts[i]);
    for (int j = 0; j < CHUNK_EXTRA_BYTES_MAX; j++) buffer_add_byte(&text, ' ');
    assert_int_equal(feed(text.data, text.len, 1000), -1);
    buffer_add_text(&text, "xx");
    assert_int_equal(feed(text.data, text.len, 1000), 431);
    buffer_finish(&text);
  }
  struct buffer many = {0};
  for (int i = 0; i < CHUNK_EXTRA_BYTES_MAX / 2; i++) buffer_add_text(&many, "1;abc\r\n\r\n");
  assert_int_equal(feed(many.data, many.len, many.len), 431);
  buffer_finish(&many);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_good_lines),
      cmocka_unit_test(refuses_others),
      cmocka_unit_test(bounds_what_is_not_used),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
