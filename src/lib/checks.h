/* checks.h - perilune.native.checks: what a spec has left behind, for the checks after each spec.
 *
 * Looks only; what is too much, and what it is called, is decided in Lua (test/checks.lua). */
#ifndef LIB_CHECKS_H
#define LIB_CHECKS_H

#include <lua.h>

/* [owner] Pushes the module's table: its luaopen function. */
int checks_open(lua_State *L);

#endif
