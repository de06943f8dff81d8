/* host.c - the grammar of an authority without userinfo.
 *
 * One pass over a few bytes, since every request has a Host. Addresses in brackets are left to
 * inet_pton; zones ("%25eth0") mean nothing to another machine and are refused (RFC 6874 4). */
#include "http/host.h"

#include "http/uri.h"

#include <arpa/inet.h>
#include <string.h>

enum { PORT_MAX = 65535 };

/* unreserved and sub-delims of RFC 3986, without the comma. */
static bool is_name_byte(unsigned char byte) {
  static const uint32_t allowed[8] = {
      0, 0x2BFF6FD2, /* ! $ & ' ( ) * + - . 0-9 ; = */
      0x87FFFFFE,    /* A-Z _ */
      0x47FFFFFE,    /* a-z ~ */
  };
  return allowed[byte >> 5] >> (byte & 31) & 1;
}

/* ":80" and ":" up to the end, or nothing. */
static bool is_port(const char *at, const char *end) {
  if (at == end) return true;
  if (*at++ != ':') return false;
  unsigned port = 0;
  for (; at < end; at++) {
    if (*at < '0' || *at > '9') return false;
    port = port * 10 + (unsigned)(*at - '0');
    if (port > PORT_MAX) return false;
  }
  return true;
}

/* `at` is behind the bracket. */
static bool is_literal(const char *at, const char *end) {
  char text[INET6_ADDRSTRLEN];
  struct in6_addr address;
  const char *close = memchr(at, ']', (size_t)(end - at));
  if (!close || close - at >= (ptrdiff_t)sizeof text) return false;
  if (memchr(at, '\0', (size_t)(close - at))) return false;
  memcpy(text, at, (size_t)(close - at));
  text[close - at] = '\0';
  return inet_pton(AF_INET6, text, &address) == 1 && is_port(close + 1, end);
}

bool host_is_valid(const char *data, size_t len) {
  const char *at = data, *end = data + len;
  if (len > 0 && *at == '[') return is_literal(at + 1, end);
  while (at < end) {
    if (is_name_byte((unsigned char)*at)) {
      at++;
    } else if (uri_read_escape(at, end) >= 0) {
      at += sizeof "%XX" - 1;
    } else {
      break;
    }
  }
  return at > data && is_port(at, end);
}
