/* map.h - async.map(list, fn, { limit=n }): fn for each item, at most n at a time.
 *
 * Structured as gather is: the first error, or a cancelled caller, cancels the rest, and nothing is
 * left running when it returns or raises. */
#ifndef LIB_MAP_H
#define LIB_MAP_H

#include <lua.h>

/* [owner] The Lua function: the first result of each call, in the order of the items, with `n`. */
int map(lua_State *L);

#endif
