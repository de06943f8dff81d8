/* cookie.h - cookies as bytes: the Cookie field read, Set-Cookie pairs written (RFC 6265).
 *
 * Pure. Reading is lenient as RFC 6265 4.2.2 and 5.4 make it: pieces that are no pair are passed
 * over, the quotes around a value are taken off. Values that Perilune writes are percent-encoded
 * where RFC 6265 4.1.1 does not allow a byte, and values are percent-decoded when read, so that any
 * text comes back as it was; a malformed escape stays as it is. Names are tokens, never encoded. */
#ifndef HTTP_COOKIE_H
#define HTTP_COOKIE_H

#include "base/base.h"
#include "base/buffer.h"

#include <stdbool.h>

/* [any thread] Takes the next cookie off a Cookie field's value. The name is not empty; the value
 * is raw, without its quotes. False when there is none. */
bool cookie_next(struct slice *rest, struct slice *name, struct slice *value);

/* [any thread] Decodes a raw value into `out`, which has room for value.len bytes; gives the
 * length. */
size_t cookie_decode(char *out, struct slice value);

/* [owner] Appends the value as it may stand in Set-Cookie. */
void cookie_encode(struct buffer *out, struct slice value);

#endif
