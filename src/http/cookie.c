/* cookie.c - splitting, decoding and encoding cookies.
 *
 * Promises to read nothing outside of the bytes given, and that decoding what was encoded gives the
 * same bytes. Knows nothing of attributes, signatures and requests. */
#include "http/cookie.h"

#include "http/field.h"
#include "http/uri.h"

#include <string.h>

static struct slice unquote(struct slice value) {
  if (value.len < 2 || value.data[0] != '"' || value.data[value.len - 1] != '"') return value;
  return (struct slice){value.data + 1, value.len - 2};
}

bool cookie_next(struct slice *rest, struct slice *name, struct slice *value) {
  while (rest->len > 0) {
    const char *start = rest->data, *semicolon = memchr(start, ';', rest->len);
    size_t len = semicolon ? (size_t)(semicolon - start) : rest->len;
    size_t taken = semicolon ? len + 1 : len;
    rest->data += taken;
    rest->len -= taken;
    const char *equals = len ? memchr(start, '=', len) : NULL;
    if (!equals) continue;
    *name = field_trim((struct slice){start, (size_t)(equals - start)});
    *value = unquote(field_trim((struct slice){equals + 1, (size_t)(start + len - (equals + 1))}));
    if (name->len > 0) return true;
  }
  return false;
}

size_t cookie_decode(char *out, struct slice value) {
  return value.len ? uri_decode(out, value.data, value.len, false) : 0;
}

/* A cookie-octet that decoding leaves as it is. */
static bool is_plain(unsigned char byte) {
  if (byte <= ' ' || byte >= 0x7F) return false;
  return strchr("\",;\\%", byte) == NULL;
}

void cookie_encode(struct buffer *out, struct slice value) {
  static const char digits[] = "0123456789ABCDEF";
  for (size_t i = 0; i < value.len; i++) {
    unsigned char byte = (unsigned char)value.data[i];
    if (is_plain(byte)) {
      buffer_add_byte(out, (char)byte);
      continue;
    }
    const char escape[] = {'%', digits[byte >> 4], digits[byte & 15]};
    buffer_add(out, escape, sizeof escape);
  }
}
