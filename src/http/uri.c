/* uri.c - splitting, percent-decoding and query pieces of a request target.
 *
 * Promises to read nothing outside the given bytes and to leave malformed sequences as they are;
 * knows nothing of routes, hosts or files. RFC 3986 for the escapes, RFC 9112 for the forms of a
 * target. */
#include "http/uri.h"

#include <assert.h>
#include <string.h>

#define ESCAPE_BYTES 3 /* "%XX" */

static const char *find_byte(const char *at, const char *end, char byte) {
  const char *found = at < end ? memchr(at, byte, (size_t)(end - at)) : NULL;
  return found ? found : end;
}

static struct slice slice_between(const char *start, const char *end) {
  assert(start <= end);
  return (struct slice){start, (size_t)(end - start)};
}

/* The end of "scheme://" (RFC 3986, 3.1), NULL if the target does not start with one. */
static const char *skip_scheme(const char *at, const char *end) {
  const char *start = at;
  for (; at < end && *at != ':'; at++) {
    bool is_letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
    bool is_other = (*at >= '0' && *at <= '9') || *at == '+' || *at == '-' || *at == '.';
    if (!is_letter && !(is_other && at > start)) return NULL;
  }
  if (at == start || end - at < 3 || memcmp(at, "://", 3) != 0) return NULL;
  return at + 3;
}

bool uri_split(const char *target, size_t len, struct uri_target *out) {
  const char *end = target + len;
  const char *at = target;
  out->authority = slice_between(target, target);
  if (len == 0) return false;
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
