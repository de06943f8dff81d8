/* chain.h - perilune.native.chain: what middleware and error handlers are made of.
 *
 * Results and errors as response objects, and the log lines of what failed. Not for apps:
 * lua/perilune/chain.lua is made of it. */
#ifndef LIB_CHAIN_H
#define LIB_CHAIN_H

#include <lua.h>

/* [owner] Pushes the module's table; gives 1. */
int chain_open(lua_State *L);

#endif
