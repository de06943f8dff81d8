/* group.h - async.group(fn): children that are spawned one by one and end with the group.
 *
 * fn runs in the caller's own task; the group returns its results when every child has ended too.
 * The first error, of fn or of a child, cancels the rest. */
#ifndef LIB_GROUP_H
#define LIB_GROUP_H

#include <lua.h>

/* [owner] Registers the class in a state. */
void group_open(lua_State *L);

/* [owner] The Lua function. */
int group(lua_State *L);

#endif
