/* loop.h - perilune.native.loop: the loops that this state knows, and orders to those that run.
 *
 * What lua/perilune/loop.lua is made of. */
#ifndef LIB_LOOP_H
#define LIB_LOOP_H

#include <lua.h>

/* [owner] Pushes the module's table; gives 1. */
int loop_open(lua_State *L);

#endif
