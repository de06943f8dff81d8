/* context.h - perilune.context: the running task's context as a table.
 *
 * The table itself is empty: reading and writing reach the context of whichever task runs
 * (core/context.h), so one table serves all, `req.context` included. */
#ifndef LIB_CONTEXT_H
#define LIB_CONTEXT_H

#include <lua.h>

/* [owner] The loader of the module `perilune.context`. */
int context_open(lua_State *L);

/* [owner] Pushes the table of this state. */
void context_push_table(lua_State *L);

#endif
