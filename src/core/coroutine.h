/* coroutine.h - `coroutine.*`, `pcall` and `xpcall` of the apps, in place of Lua's own.
 *
 * A wait inside an app's coroutine suspends the whole fiber and goes on inside the coroutine; the
 * app's own yield still reaches its own resume. pcall and xpcall do not give Lua the error of an
 * interruption while the interrupted scope lasts: they raise it again. */
#ifndef CORE_COROUTINE_H
#define CORE_COROUTINE_H

#include <lua.h>

/* [owner] Replaces the functions in the state's globals; raises when out of memory. */
void coroutine_open(lua_State *L);

#endif
