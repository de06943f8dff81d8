/* develop.h - the Lua module perilune.native.develop: what `perilune dev` and `check` look at.
 *
 * None of it is used by a server that only serves. */
#ifndef LIB_DEVELOP_H
#define LIB_DEVELOP_H

#include <lua.h>
#include <stdbool.h>

/* [owner] Pushes the function page(req, error's text, traceback) that answers for errors; false,
 * and nothing, where there is none. */
bool develop_push_page(lua_State *L);

/* [owner] Opens the module (lua_CFunction). */
int develop_open(lua_State *L);

#endif
