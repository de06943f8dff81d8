/* mutex.h - async.mutex: one at a time.
 *
 * lock() gives a guard: `local guard <close> = m:lock()`. Closing, unlocking or collecting it
 * unlocks; the lock goes to whoever has waited longest. Not reentrant. */
#ifndef LIB_MUTEX_H
#define LIB_MUTEX_H

#include <lua.h>

/* [owner] Adds `mutex` to the module table on top of the stack. */
void mutex_open(lua_State *L);

#endif
