/* libs.h - which modules in C each Lua state of a worker has.
 *
 * The list stands above lib/ and roles/, since it names both; every new module in C is added to
 * it. */
#ifndef LIBS_H
#define LIBS_H

#include <lua.h>

/* [owner] Registers them in package.preload, and the classes that cross states; raises when out of
 * memory. */
int libs_open(lua_State *L);

/* [owner] Puts the framework's Lua files first in package.path. */
void libs_set_path(lua_State *L, const char *lua_dir);

#endif
