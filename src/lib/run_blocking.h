/* run_blocking.h - async.run_blocking: any function, on the thread pool.
 *
 * A closure takes copies of its upvalues along (core/transfer.h); a function of the app that exists
 * once runs as the pool thread's own. */
#ifndef LIB_RUN_BLOCKING_H
#define LIB_RUN_BLOCKING_H

#include <lua.h>

/* [owner] Adds run_blocking to the module's table on top of the stack, which has `timeout`. */
void run_blocking_open(lua_State *L);

#endif
