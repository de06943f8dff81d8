/* shared_update.h - shared:update(key, fn): a value by what it was before.
 *
 * The function runs without anything being held: if the value has been changed meanwhile, it runs
 * again with the new one. So it may wait, and may use the table itself. */
#ifndef LIB_SHARED_UPDATE_H
#define LIB_SHARED_UPDATE_H

#include <lua.h>

/* [owner] The method: update(self, key, fn) -> the new value. */
int shared_update(lua_State *L);

#endif
