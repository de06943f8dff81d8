/* sqlite.h - perilune.sqlite: SQLite databases, never on the thread of an event loop.
 *
 * The module has `open` and `blob`; the handles that `open` gives cross between states. */
#ifndef LIB_SQLITE_H
#define LIB_SQLITE_H

#include <lua.h>

/* [owner] Makes the classes known in a new state: their values may come before the module is
 * required. */
void sqlite_register(lua_State *L);

/* [owner] luaopen function of the module. */
int sqlite_open(lua_State *L);

#endif
