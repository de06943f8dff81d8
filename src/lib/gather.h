/* gather.h - async.gather: several tasks at once, all results or the first error.
 *
 * Structured: it returns or raises only when every child has ended. The first error, or a
 * cancellation of the caller, cancels the others first. */
#ifndef LIB_GATHER_H
#define LIB_GATHER_H

#include <lua.h>

/* [owner] Registers the class of its state. */
void gather_open(lua_State *L);

/* [owner] The Lua function: gather(a, b, ...) or gather { ... }; each a function, a task or
 * { fn, args... }. */
int gather(lua_State *L);

#endif
