/* escape.c - bytes to printable text, by runs.
 *
 * Nearly all text is plain ASCII: it is copied run by run, and only what is not is decoded. */
#include "base/escape.h"

#include "base/limits.h"

#include <stdbool.h>

/* The length of the UTF-8 character at `text` and its code point; 0 where there is none
 * (RFC 3629: no overlong forms, no surrogates). */
static size_t decode_utf8(const char *text, size_t len, uint32_t *code) {
  const unsigned char *bytes = (const unsigned char *)text;
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t size = bytes[0] < 0x80             ? 1
                : (bytes[0] & 0xE0) == 0xC0 ? 2
                : (bytes[0] & 0xF0) == 0xE0 ? 3
                : (bytes[0] & 0xF8) == 0xF0 ? 4
                                            : 0;
  if (size == 0 || size > len) return 0;
  uint32_t sum = size == 1 ? bytes[0] : bytes[0] & (0x7Fu >> size);
  for (size_t i = 1; i < size; i++) {
    if ((bytes[i] & 0xC0) != 0x80) return 0;
    sum = sum << 6 | (bytes[i] & 0x3Fu);
  }
  if (sum < least[size] || sum > 0x10FFFF || (sum >= 0xD800 && sum <= 0xDFFF)) return 0;
  *code = sum;
  return size;
}

static bool is_control(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029;
}

static void add_code(struct buffer *line, uint32_t code, enum escape_form form) {
  switch (code) {
  case '\n':
    buffer_add_text(line, "\\n");
    return;
  case '\r':
    buffer_add_text(line, "\\r");
    return;
  case '\t':
    buffer_add_text(line, "\\t");
    return;
  }
  if (form == ESCAPE_JSON || code > 0xFF) {
    buffer_printf(line, "\\u%04x", (unsigned)code);
  } else {
    buffer_printf(line, "\\x%02x", (unsigned)code);
  }
}

/* A byte that begins no character. */
static void add_stray(struct buffer *line, char byte, enum escape_form form) {
  if (form == ESCAPE_JSON)
    buffer_add_utf8(line, 0xFFFD);
  else
    buffer_printf(line, "\\x%02x", (unsigned)(unsigned char)byte);
}

static bool is_plain(char byte) {
  return byte >= ' ' && byte < 0x7F && byte != '"' && byte != '\\';
}

void escape_add(struct buffer *line, const char *text, size_t len, enum escape_form form) {
  if (len == 0) return;
  size_t cut = len > LOG_VALUE_BYTES_MAX ? len - LOG_VALUE_BYTES_MAX : 0;
  for (const char *end = text + len - cut; text < end;) {
    const char *run = text;
    while (text < end && is_plain(*text)) text++;
    buffer_add(line, run, (size_t)(text - run));
    if (text == end) break;
    uint32_t code;
    size_t size = decode_utf8(text, (size_t)(end - text), &code);
    if (size == 0) {
      add_stray(line, *text, form);
      size = 1;
    } else if (is_control(code)) {
      add_code(line, code, form);
    } else {
      if (form != ESCAPE_TEXT && (code == '"' || code == '\\')) buffer_add_byte(line, '\\');
      buffer_add(line, text, size);
    }
    text += size;
  }
  if (cut) buffer_printf(line, "...[+%zu bytes]", cut);
}
