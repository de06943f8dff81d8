/* base64.h - RFC 4648: base64, base64url and hex, written and read strictly.
 *
 * Strict: no byte outside of the alphabet, no bits beyond the last byte, padding as it should be.
 * So every sequence of bytes has one text, and no other text is read as it. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/base.h"

#include <stdbool.h>

enum {
  BASE64_URL = 1,         /* the alphabet with - and _ */
  BASE64_PAD = 2,         /* written with padding; read only with it */
  BASE64_PAD_OPTIONAL = 4 /* read with or without it */
};

/* [any thread] Bytes that the text of `len` bytes has. */
size_t base64_len(size_t len, unsigned flags);

/* [any thread] Writes the text, base64_len bytes and no terminator. */
void base64_encode(char *out, struct slice bytes, unsigned flags);

/* [any thread] Writes the bytes of a text, fewer than it has, and gives their number; -1 when it is
 * not such a text: `wrong` is then the place of the byte that should not be there, or the length
 * when something is missing at the end. */
ptrdiff_t base64_decode(char *out, struct slice text, unsigned flags, size_t *wrong);

/* [any thread] Writes two digits for each byte. */
void base64_hex_encode(char *out, struct slice bytes);

/* [any thread] As base64_decode, for hex digits in either case. */
ptrdiff_t base64_hex_decode(char *out, struct slice text, size_t *wrong);

#endif
