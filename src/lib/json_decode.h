/* json_decode.h - JSON text to Lua values, strictly (RFC 8259).
 *
 * Objects become tables, arrays become tables with the array mark (so that empty ones stay arrays).
 * Integers of 64 bits stay integers; larger ones, above 2^63-1 too, become floats, as all numbers
 * with a '.' or an exponent do. Of a key that comes twice the last value wins. A null in an array
 * is perilune.null always, so that the array keeps its length, and so is a text that is only
 * `null`; a null member of an object is left out unless JSON_KEEP_NULL is given.
 * Refused: invalid UTF-8, half surrogate pairs, anything behind the value, numbers without a finite
 * value, nesting deeper than JSON_DEPTH_MAX. */
#ifndef LIB_JSON_DECODE_H
#define LIB_JSON_DECODE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

enum json_decode_flags {
  JSON_KEEP_NULL = 1 /* null members of objects are perilune.null */
};

/* [owner] Pushes the value of `len` bytes of text (borrowed for the call). Raises kind "json" with
 * the reason, the line, the column and the byte; raises when there is no memory. */
void json_decode(lua_State *L, const char *text, size_t len, unsigned flags);

/* [owner] As json_decode, for texts from outside: when the text is not JSON, pushes the reason (a
 * string) and gives false. Raises only when there is no memory. */
bool json_try_decode(lua_State *L, const char *text, size_t len, unsigned flags);

#endif
