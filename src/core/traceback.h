/* traceback.h - the text that says where on its stack a coroutine is.
 *
 * As luaL_traceback writes it, but cheap enough for every error and every cancellation: names of C
 * functions are looked for once, Lua functions are told by the name in the call and their line. */
#ifndef CORE_TRACEBACK_H
#define CORE_TRACEBACK_H

#include <lua.h>

/* [owner] Pushes the traceback of the running coroutine `L` from `level` on. Raises when there is
 * no memory. */
void traceback_push(lua_State *L, int level);

#endif
