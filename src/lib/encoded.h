/* encoded.h - a value of Lua as bytes that threads share.
 *
 * While it is written a userdata owns what there is of it, since Lua may raise. */
#ifndef LIB_ENCODED_H
#define LIB_ENCODED_H

#include "core/blob.h"

#include <lua.h>

/* [owner] The message (core/transfer.h) with the value at the absolute index `index`, which errors
 * call `name`; the reference is the caller's. Raises kind "transfer" when it cannot cross. */
struct blob *encoded_make(lua_State *L, int index, const char *name);

#endif
