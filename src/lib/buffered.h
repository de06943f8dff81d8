/* buffered.h - from a buffer, which C has filled, to a value of Lua.
 *
 * For lists that other threads have written under a lock. */
#ifndef LIB_BUFFERED_H
#define LIB_BUFFERED_H

#include "base/buffer.h"

#include <lua.h>

/* [owner] Pushes what `push` pushes (one value): it gets the buffer as its argument, a light
 * userdata, and may raise. The buffer is freed whatever happens. Gives 1. */
int buffered_push(lua_State *L, lua_CFunction push, struct buffer *buffer);

#endif
