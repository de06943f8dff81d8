/* chunk_lines.c - one state for each place in a chunked body where a byte can stand.
 *
 * What extensions and trailers are made of is the parser's to check; where their lines start and
 * end is checked here. */
#include "http/chunk_lines.h"

#include "base/limits.h"
#include "http/status.h"

enum { BAD = -1 };

static bool is_hex(char byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') ||
         (byte >= 'A' && byte <= 'F');
}

/* The next place after a byte of the line of a size, or BAD. */
static int step_size(struct chunk_lines *lines, char byte) {
  if (is_hex(byte)) {
    lines->_has_data |= byte != '0';
    return ++lines->_size_digits <= CHUNK_SIZE_DIGITS_MAX ? CHUNK_LINES_SIZE : BAD;
  }
  if (lines->_size_digits == 0) return BAD;
  if (byte == '\r') return CHUNK_LINES_SIZE_LF;
  return byte == ';' ? CHUNK_LINES_EXTENSION : BAD;
}

static int end_size(struct chunk_lines *lines) {
  bool has_data = lines->_has_data;
  lines->_size_digits = 0;
  lines->_has_data = false;
  return has_data ? CHUNK_LINES_DATA_CR : CHUNK_LINES_TRAILER;
}

static int step_trailer(char byte) {
  switch (byte) {
  case '\r':
    return CHUNK_LINES_LAST_LF;
  case '\n':
  case ' ':
  case '\t':
  case ':':
    return BAD;
  }
  return CHUNK_LINES_TRAILER_REST;
}

/* The rest of a line that is read and not used. */
static int step_extra(struct chunk_lines *lines, char byte, enum chunk_lines_at at_cr) {
  lines->_extra_bytes++;
  if (byte == '\n') return BAD;
  return (int)(byte == '\r' ? at_cr : lines->_at);
}

static int step(struct chunk_lines *lines, char byte) {
  switch (lines->_at) {
  case CHUNK_LINES_SIZE:
    return step_size(lines, byte);
  case CHUNK_LINES_EXTENSION:
    return step_extra(lines, byte, CHUNK_LINES_SIZE_LF);
  case CHUNK_LINES_SIZE_LF:
    return byte == '\n' ? end_size(lines) : BAD;
  case CHUNK_LINES_DATA_CR:
    return byte == '\r' ? CHUNK_LINES_DATA_LF : BAD;
  case CHUNK_LINES_DATA_LF:
    return byte == '\n' ? CHUNK_LINES_SIZE : BAD;
  case CHUNK_LINES_TRAILER:
    return step_trailer(byte);
  case CHUNK_LINES_TRAILER_REST:
    return step_extra(lines, byte, CHUNK_LINES_TRAILER_LF);
  case CHUNK_LINES_TRAILER_LF:
    return byte == '\n' ? CHUNK_LINES_TRAILER : BAD;
  case CHUNK_LINES_LAST_LF:
    return byte == '\n' ? CHUNK_LINES_DONE : BAD;
  case CHUNK_LINES_DONE:
    break;
  }
  return BAD;
}

int chunk_lines_feed(struct chunk_lines *lines, const char **at, const char *end) {
  while (*at < end && lines->_at != CHUNK_LINES_DONE) {
    int next = step(lines, *(*at)++);
    if (next == BAD) return STATUS_BAD_REQUEST;
    if (lines->_extra_bytes > CHUNK_EXTRA_BYTES_MAX) return STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
    lines->_at = (enum chunk_lines_at)next;
  }
  return 0;
}
