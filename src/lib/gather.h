/* gather.h - async.gather, settle, race and any: several tasks at once.
 *
 * Each takes functions, tasks and `{ fn, args... }`, as arguments or in one table, and returns or
 * raises only when every child has ended; a cancelled caller cancels them first. */
#ifndef LIB_GATHER_H
#define LIB_GATHER_H

#include <lua.h>

/* [owner] The Lua functions. All results, or the first error, which cancels the others. */
int gather(lua_State *L);

/* [owner] A list or table of { ok=true, value= } or { ok=false, error= }. */
int gather_settled(lua_State *L);

/* [owner] Index (or key) and results of the first that ends, or its error. */
int gather_first_ended(lua_State *L);

/* [owner] Index (or key) and results of the first that succeeds; when none does, all errors. */
int gather_first_done(lua_State *L);

#endif
