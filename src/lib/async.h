/* async.h - the Lua module perilune.async: waiting, time limits, several things at once.
 *
 * Every function here works from a coroutine task and from a blocking function, and inside the
 * app's own coroutines. Cancellation is raised at waits as kind "cancelled". */
#ifndef LIB_ASYNC_H
#define LIB_ASYNC_H

#include <lua.h>

/* [owner] Pushes the module's table; gives 1. */
int async_open(lua_State *L);

/* [owner] timeout(seconds, fn, ...): the results of fn, or kind "timeout" once its time is over. */
int async_timeout(lua_State *L);

#endif
