/* app.h - perilune.native.app: what the framework in Lua needs of the core to define an app.
 *
 * Loading the app's files, marking functions, and the classes of Perilune's own objects. Not for
 * apps: they use perilune. */
#ifndef LIB_APP_H
#define LIB_APP_H

#include <lua.h>

/* [owner] Pushes the module's table; gives 1. */
int app_open(lua_State *L);

#endif
