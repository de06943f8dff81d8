/* semaphore.h - async.semaphore: so many may do something at the same time.
 *
 * A counting semaphore: release may be called by anyone, and more often than acquire. A permit that
 * is released goes to whoever has waited longest; nobody takes one in passing. */
#ifndef LIB_SEMAPHORE_H
#define LIB_SEMAPHORE_H

#include <lua.h>

/* [owner] Adds `semaphore` to the module table on top of the stack. */
void semaphore_open(lua_State *L);

#endif
