/* uri.c - splitting, percent-decoding and query pieces of a request target.
 *
 * Promises to read nothing outside the given bytes and to leave malformed sequences as they are;
 * knows nothing of routes, hosts or files. RFC 3986 for the escapes, RFC 9112 for the forms of a
 * target. */
#include "http/uri.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#define ESCAPE_BYTES 3 /* "%XX" */

static const char *find_byte(const char *at, const char *end, char byte) {
  const char *found = at < end ? memchr(at, byte, (size_t)(end - at)) : NULL;
  return found ? found : end;
}

static struct slice slice_between(const char *start, const char *end) {
  assert(start <= end);
  return (struct slice){start, (size_t)(end - start)};
}

/* The end of "http://" or "https://", NULL if the target does not start with one. */
static const char *skip_scheme(const char *at, const char *end) {
  static const char *const schemes[] = {"http://", "https://"};
  for (size_t i = 0; i < array_len(schemes); i++) {
    size_t len = strlen(schemes[i]);
    if ((size_t)(end - at) >= len && strncasecmp(at, schemes[i], len) == 0) return at + len;
  }
  return NULL;
}

/* Whether a byte may not be in a target: a control, a space, not ASCII, or the start of a fragment.
 * What RFC 3986 wants escaped besides ("<", "|", ...) is sent by browsers and let through. */
static bool is_stray(unsigned char byte) {
  return byte <= ' ' || byte >= 0x7F || byte == '#';
}

static bool has_stray(const char *at, const char *end) {
  bool stray = false;
  for (; at < end; at++) stray |= is_stray((unsigned char)*at);
  return stray;
}

bool uri_split(const char *target, size_t len, struct uri_target *out) {
  const char *end = target + len;
  const char *at = target;
  out->authority = slice_between(target, target);
  if (len == 0 || has_stray(target, end)) return false;
  if (*target != '/' && !(len == 1 && *target == '*')) {
    const char *authority = skip_scheme(target, end);
    if (!authority) return false;
    for (at = authority; at < end && *at != '/' && *at != '?';) at++;
    if (at == authority) return false;
    out->authority = slice_between(authority, at);
  }
  const char *path_end = find_byte(at, end, '?');
  out->path = path_end > at ? slice_between(at, path_end) : (struct slice){"/", 1};
  out->query = slice_between(path_end < end ? path_end + 1 : end, end);
  return true;
}

static int hex_value(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
  return -1;
}

int uri_read_escape(const char *at, const char *end) {
  if (end - at < ESCAPE_BYTES || at[0] != '%') return -1;
  int high = hex_value(at[1]);
  int low = hex_value(at[2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool uri_path_is_valid(const char *path, size_t len) {
  const char *end = path + len;
  for (const char *at = find_byte(path, end, '%'); at < end; at = find_byte(at + 1, end, '%'))
    if (uri_read_escape(at, end) <= 0) return false;
  return true;
}

size_t uri_decode(char *out, const char *in, size_t len, bool plus_is_space) {
  const char *end = in + len;
  char *to = out;
  while (in < end) {
    char byte = *in;
    int escaped = byte == '%' ? uri_read_escape(in, end) : -1;
    if (escaped >= 0)
      byte = (char)escaped;
    else if (byte == '+' && plus_is_space)
      byte = ' ';
    in += escaped >= 0 ? ESCAPE_BYTES : 1;
    *to++ = byte;
  }
  return (size_t)(to - out);
}

void uri_query_begin(struct uri_query_iter *iter, const char *query, size_t len) {
  iter->_at = query;
  iter->_end = len ? query + len : query;
}

bool uri_query_next(struct uri_query_iter *iter, struct slice *name, struct slice *value) {
  while (iter->_at < iter->_end && *iter->_at == '&') iter->_at++;
  if (iter->_at == iter->_end) return false;
  const char *end = find_byte(iter->_at, iter->_end, '&');
  const char *equals = find_byte(iter->_at, end, '=');
  *name = slice_between(iter->_at, equals);
  *value = slice_between(equals < end ? equals + 1 : end, end);
  iter->_at = end;
  return true;
}
