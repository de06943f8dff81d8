/* path.h - paths that app authors give: relative ones are relative to the app's directory.
 *
 * Every function of the libraries that takes a path of a file goes through here, so that all
 * refuse the same ones with the same words. */
#ifndef LIB_PATH_H
#define LIB_PATH_H

#include <lua.h>

/* [owner] Argument `index` of the running C function is a path: a string, not empty, without NUL.
 * Pushes the absolute path and gives it; raises with the position of the caller. */
const char *path_check(lua_State *L, int index);

/* [owner] The same for the value at `index` that the option `name` has. */
const char *path_check_option(lua_State *L, int index, const char *name);

#endif
