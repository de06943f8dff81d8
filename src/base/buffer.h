/* buffer.h - bytes that grow.
 *
 * A zeroed struct is an empty buffer; buffer_finish gives its memory back and leaves it zeroed.
 * A buffer belongs to one thread at a time. Growing never fails (base.h). */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/base.h"

#include <string.h>

struct buffer {
  char *data;
  size_t len; /* bytes in use */
  size_t cap; /* bytes allocated */
};

/* [owner] Frees the memory; accepts a zeroed buffer, and the same buffer twice. */
void buffer_finish(struct buffer *buffer);

/* [owner] Makes room for `extra` more bytes, at least doubling; used by buffer_reserve. */
void buffer_grow(struct buffer *buffer, size_t extra);

/* [owner] Appends what printf would print (no terminator counted). */
void buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);

/* [owner] Appends one Unicode code point (at most 0x10FFFF) as UTF-8. */
void buffer_add_utf8(struct buffer *buffer, uint32_t code);

/* [owner] Room for `extra` bytes behind the used ones; the caller adds to `len` what it wrote. */
static inline char *buffer_reserve(struct buffer *buffer, size_t extra) {
  if (buffer->cap - buffer->len < extra) buffer_grow(buffer, extra);
  return buffer->data + buffer->len;
}

static inline void buffer_add(struct buffer *buffer, const void *data, size_t len) {
  if (len == 0) return;
  memcpy(buffer_reserve(buffer, len), data, len);
  buffer->len += len;
}

static inline void buffer_add_byte(struct buffer *buffer, char byte) {
  *buffer_reserve(buffer, 1) = byte;
  buffer->len++;
}

static inline void buffer_add_text(struct buffer *buffer, const char *text) {
  buffer_add(buffer, text, strlen(text));
}

/* Forgets the bytes, keeps the memory. */
static inline void buffer_clear(struct buffer *buffer) {
  buffer->len = 0;
}

#endif
