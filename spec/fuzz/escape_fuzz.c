/* escape_fuzz.c - any bytes as text in a line of a log.
 *
 * Whatever they are, they stay in their line and inside their quotes, and a terminal that shows
 * them sees no control characters; a JSON string is UTF-8. */
#include "base/escape.h"
#include "base/limits.h"
#include "fuzz.h"

/* Bytes of the UTF-8 character at `at`, whose code is not looked at; 0 if it is none. */
static size_t character_bytes(const unsigned char *at, const unsigned char *end) {
  size_t len = *at < 0x80 ? 1 : *at >= 0xF0 ? 4 : *at >= 0xE0 ? 3 : *at >= 0xC2 ? 2 : 0;
  if (len == 0 || len > (size_t)(end - at)) return 0;
  for (size_t i = 1; i < len; i++)
    if ((at[i] & 0xC0) != 0x80) return 0;
  return len;
}

/* Escapes are whole, and no quote stands bare. */
static void check_quotes(const struct buffer *line) {
  for (size_t i = 0; i < line->len; i++) {
    assert(line->data[i] != '"');
    if (line->data[i] == '\\') {
      i++;
      assert(i < line->len && strchr("\"\\nrtux", line->data[i]));
    }
  }
}

static void check_characters(const struct buffer *line) {
  const unsigned char *at = (const unsigned char *)line->data, *end = at + line->len;
  while (at < end) {
    size_t len = character_bytes(at, end);
    assert(len > 0);
    assert(*at >= ' ' && *at != 0x7F);
    assert(*at != 0xC2 || at[1] >= 0xA0);
    at += len;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len == 0) return 0;
  struct buffer line = {0};
  static const enum escape_form forms[] = {ESCAPE_TEXT, ESCAPE_QUOTED, ESCAPE_JSON};
  for (size_t i = 0; i < array_len(forms); i++) {
    buffer_clear(&line);
    escape_add(&line, (const char *)data, len, forms[i]);
    check_characters(&line);
    if (forms[i] != ESCAPE_TEXT) check_quotes(&line);
    assert(line.len >= (len < LOG_VALUE_BYTES_MAX ? len : LOG_VALUE_BYTES_MAX));
  }
  buffer_finish(&line);
  return 0;
}
