/* buffer.c - the slow half of buffer.h: growing and formatting.
 *
 * Capacity at least doubles, so appending n bytes one by one costs O(n). */
#include "base/buffer.h"

#include "base/stress.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFFER_FIRST_BYTES = STRESSED(256, 8) };

void buffer_finish(struct buffer *buffer) {
  free(buffer->data);
  *buffer = (struct buffer){0};
}

void buffer_grow(struct buffer *buffer, size_t extra) {
  assert(buffer->len <= buffer->cap);
  size_t wanted = buffer->len + extra;
  size_t cap = buffer->cap ? buffer->cap * 2 : BUFFER_FIRST_BYTES;
  if (cap < wanted) cap = wanted;
  buffer->data = memory_resize(buffer->data, cap);
  buffer->cap = cap;
}

void buffer_printf(struct buffer *buffer, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int len = vsnprintf(NULL, 0, format, args);
  va_end(args);
  assert(len >= 0);
  char *end = buffer_reserve(buffer, (size_t)len + 1);
  vsnprintf(end, (size_t)len + 1, format, again);
  va_end(again);
  buffer->len += (size_t)len;
}

void buffer_add_utf8(struct buffer *buffer, uint32_t code) {
  assert(code <= 0x10FFFF);
  char *end = buffer_reserve(buffer, 4);
  size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const unsigned char lead[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
  for (size_t i = len - 1; i > 0; i--, code >>= 6) end[i] = (char)(0x80 | (code & 0x3F));
  end[0] = (char)(lead[len] | code);
  buffer->len += len;
}
