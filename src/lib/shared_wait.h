/* shared_wait.h - shared:wait(key, [timeout, [old]]): until a value changes.
 *
 * With `old` given it returns at once when the value is another one already: nothing that happens
 * between looking and waiting is missed then. A value that expires, is deleted or evicted has
 * changed to nil. */
#ifndef LIB_SHARED_WAIT_H
#define LIB_SHARED_WAIT_H

#include <lua.h>

/* [owner] The method: wait(self, key, [timeout, [old]]) -> the new value. */
int shared_wait(lua_State *L);

/* [owner] Prepares a new state. */
void shared_wait_open(lua_State *L);

#endif
