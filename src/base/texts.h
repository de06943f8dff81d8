/* texts.h - a list of texts in a buffer, each behind its length.
 *
 * What many threads write, and one reads, under the lock of whoever has the buffer. A text may have
 * any bytes, and none. */
#ifndef BASE_TEXTS_H
#define BASE_TEXTS_H

#include "base/buffer.h"

#include <stdbool.h>

/* Bytes that a text of that length takes. */
static inline size_t texts_size(size_t len) {
  return sizeof(uint32_t) + len;
}

static inline void texts_add(struct buffer *texts, struct slice text) {
  uint32_t len = (uint32_t)text.len;
  buffer_add(texts, &len, sizeof len);
  buffer_add(texts, text.data, text.len);
}

/* Gives the text at `*at`, which begins at 0, and goes on to the next; false behind the last. It
 * lives as long as the buffer is not changed. */
static inline bool texts_next(const struct buffer *texts, size_t *at, struct slice *text) {
  uint32_t len;
  if (*at >= texts->len) return false;
  memcpy(&len, texts->data + *at, sizeof len);
  *text = (struct slice){texts->data + *at + sizeof len, len};
  *at += texts_size(len);
  return true;
}

#endif
