/* buffer_spec.c - bytes that grow, and what printf and UTF-8 add to them.
 *
 * Contents are compared with memcmp against arrays written by hand, or, at random, against a plain
 * array that is large enough. */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_bytes(const struct buffer *buffer, const char *bytes, size_t len) {
  assert_int_equal(buffer->len, len);
  assert_true(buffer->len <= buffer->cap);
  if (len) assert_memory_equal(buffer->data, bytes, len);
}

#define expect(buffer, literal) expect_bytes(buffer, "" literal, sizeof(literal) - 1)

static void starts_empty_and_finishes_twice(void **state) {
  (void)state;
  struct buffer buffer = {0};
  buffer_finish(&buffer);
  buffer_add(&buffer, NULL, 0);
  assert_null(buffer.data);
  buffer_add_text(&buffer, "x");
  buffer_finish(&buffer);
  assert_null(buffer.data);
  assert_int_equal(buffer.len, 0);
  assert_int_equal(buffer.cap, 0);
  buffer_finish(&buffer);
}

static void adds_bytes_text_and_single_bytes(void **state) {
  (void)state;
  struct buffer buffer = {0};
  buffer_add(&buffer, "a\0b", 3);
  buffer_add_text(&buffer, "cd");
  buffer_add_text(&buffer, "");
  buffer_add_byte(&buffer, '\0');
  buffer_add_byte(&buffer, '\xFF');
  expect(&buffer, "a\0bcd\0\xFF");
  buffer_finish(&buffer);
}

static void keeps_its_memory_when_cleared(void **state) {
  (void)state;
  struct buffer buffer = {0};
  buffer_add_text(&buffer, "some text");
  const char *data = buffer.data;
  size_t cap = buffer.cap;
  buffer_clear(&buffer);
  expect(&buffer, "");
  buffer_add_text(&buffer, "other");
  assert_ptr_equal(buffer.data, data);
  assert_int_equal(buffer.cap, cap);
  expect(&buffer, "other");
  buffer_finish(&buffer);
}

static void reserves_room_behind_what_is_used(void **state) {
  (void)state;
  struct buffer buffer = {0};
  buffer_add_text(&buffer, "head");
  for (size_t extra = 1; extra < 100000; extra *= 3) {
    char *room = buffer_reserve(&buffer, extra);
    assert_ptr_equal(room, buffer.data + buffer.len);
    assert_true(buffer.cap - buffer.len >= extra);
    memset(room, 'x', extra);
    expect(&buffer, "head");
  }
  buffer_finish(&buffer);
}

static void grows_by_doubling_at_least(void **state) {
  (void)state;
  struct buffer buffer = {0};
  unsigned moves = 0;
  for (size_t i = 0; i < 1000000; i++) {
    size_t cap = buffer.cap;
    buffer_add_byte(&buffer, (char)i);
    if (buffer.cap == cap) continue;
    assert_true(buffer.cap >= cap * 2);
    moves++;
  }
  assert_true(moves < 20);
  for (size_t i = 0; i < buffer.len; i++)
    if (buffer.data[i] != (char)i) fail_msg("byte %zu", i);
  buffer_finish(&buffer);
}

static void prints(void **state) {
  (void)state;
  struct buffer buffer = {0};
  buffer_printf(&buffer, "%s", "");
  expect(&buffer, "");
  buffer_printf(&buffer, "%d-%s", -7, "seven");
  buffer_printf(&buffer, "%c%c", 'a', 0);
  expect(&buffer, "-7-sevena\0");
  buffer_clear(&buffer);
  buffer_printf(&buffer, "<%*d>", 3000, 1); /* longer than what was reserved */
  assert_int_equal(buffer.len, 3002);
  assert_int_equal(buffer.data[0], '<');
  assert_int_equal(buffer.data[3001], '>');
  buffer_finish(&buffer);
}

/* Fills the buffer to the last byte first, so that printf's terminator has no room by chance. */
static void prints_into_a_full_buffer(void **state) {
  (void)state;
  for (size_t room = 0; room < 8; room++) {
    struct buffer buffer = {0};
    buffer_add_byte(&buffer, 'x');
    while (buffer.cap - buffer.len > room) buffer_add_byte(&buffer, 'x');
    size_t len = buffer.len;
    buffer_printf(&buffer, "12345");
    assert_int_equal(buffer.len, len + 5);
    assert_memory_equal(buffer.data + len, "12345", 5);
    buffer_finish(&buffer);
  }
}

static void adds_code_points(void **state) {
  (void)state;
  static const struct {
    uint32_t code;
    const char *bytes;
    size_t len;
  } cases[] = {
      {0, "\0", 1},
      {0x41, "A", 1},
      {0x7F, "\x7F", 1},
      {0x80, "\xC2\x80", 2},
      {0x7FF, "\xDF\xBF", 2},
      {0x800, "\xE0\xA0\x80", 3},
      {0x20AC, "\xE2\x82\xAC", 3},
      {0xFFFF, "\xEF\xBF\xBF", 3},
      {0x10000, "\xF0\x90\x80\x80", 4},
      {0x1F600, "\xF0\x9F\x98\x80", 4},
      {0x10FFFF, "\xF4\x8F\xBF\xBF", 4},
  };
  struct buffer buffer = {0};
  for (size_t i = 0; i < array_len(cases); i++) {
    buffer_clear(&buffer);
    buffer_add_utf8(&buffer, cases[i].code);
    expect_bytes(&buffer, cases[i].bytes, cases[i].len);
  }
  buffer_finish(&buffer);
}

static void holds_what_was_added_at_random(void **state) {
  (void)state;
  enum { BYTES = 1 << 20 };
  char *model = memory_alloc(BYTES);
  size_t len = 0;
  uint64_t seed = 3;
  struct buffer buffer = {0};
  for (;;) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    size_t piece = (seed >> 33) % ((seed >> 20) % 64 == 0 ? 5000 : 50);
    if (len + piece > BYTES) break;
    for (size_t i = 0; i < piece; i++) model[len + i] = (char)(seed >> (i % 50));
    buffer_add(&buffer, model + len, piece);
    len += piece;
  }
  expect_bytes(&buffer, model, len);
  buffer_finish(&buffer);
  free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(starts_empty_and_finishes_twice),
      cmocka_unit_test(adds_bytes_text_and_single_bytes),
      cmocka_unit_test(keeps_its_memory_when_cleared),
      cmocka_unit_test(reserves_room_behind_what_is_used),
      cmocka_unit_test(grows_by_doubling_at_least),
      cmocka_unit_test(prints),
      cmocka_unit_test(prints_into_a_full_buffer),
      cmocka_unit_test(adds_code_points),
      cmocka_unit_test(holds_what_was_added_at_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
