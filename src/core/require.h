/* require.h - `require` that may wait, and loading that takes text only.
 *
 * The app's files come from the worker's snapshot. Two fibers that require one module: the second
 * waits. Bytecode from outside is refused everywhere (load, loadfile, dofile, require). */
#ifndef CORE_REQUIRE_H
#define CORE_REQUIRE_H

#include <lua.h>

/* [owner] Replaces the functions in the state's globals; raises when out of memory. */
void require_open(lua_State *L);

/* [owner] Pushes the compiled chunk of `path` in the app's directory; raises with file:line when it
 * does not compile, and when there is no such file. */
void require_load_app_file(lua_State *L, const char *path);

/* [owner] Pushes a function that requires the module named by its first argument and calls what
 * that returns with the others: how C starts Lua of the framework. May wait. */
void require_push_caller(lua_State *L);

#endif
