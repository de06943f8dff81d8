/* chunk_lines.h - the bytes around the data of chunks: sizes, extensions, line ends, trailers.
 *
 * The parser decodes chunks; this looks at what it passes over, because llhttp 8 takes bare line
 * feeds, folded and nameless trailers, and any number of zeros and blanks. Counts what is not used
 * but has to be read. Pure. */
#ifndef HTTP_CHUNK_LINES_H
#define HTTP_CHUNK_LINES_H

#include <stdbool.h>
#include <stdint.h>

enum chunk_lines_at {
  CHUNK_LINES_SIZE,
  CHUNK_LINES_EXTENSION,
  CHUNK_LINES_SIZE_LF,
  CHUNK_LINES_DATA_CR,
  CHUNK_LINES_DATA_LF,
  CHUNK_LINES_TRAILER, /* at the start of a line */
  CHUNK_LINES_TRAILER_REST,
  CHUNK_LINES_TRAILER_LF,
  CHUNK_LINES_LAST_LF,
  CHUNK_LINES_DONE
};

/* Zeroed at the start of a body. */
struct chunk_lines {
  enum chunk_lines_at _at;
  uint32_t _size_digits;
  bool _has_data;
  uint32_t _extra_bytes;
};

/* [owner] Takes the bytes from *at to `end`, the data of chunks left out (RFC 9112 7.1), and stops
 * behind the empty line that ends the body; *at tells how far it came. 0, or the status to refuse
 * with: 400, or 431 when extensions and trailers of the body exceed CHUNK_EXTRA_BYTES_MAX. */
int chunk_lines_feed(struct chunk_lines *lines, const char **at, const char *end);

/* [owner] Whether the body has ended. */
static inline bool chunk_lines_is_done(const struct chunk_lines *lines) {
  return lines->_at == CHUNK_LINES_DONE;
}

#endif
