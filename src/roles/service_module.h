/* service_module.h - perilune.native.service: serving an app on the worker that runs Lua.
 *
 * What test.client() is made of: a fresh load of the app in this state, pools of its own, real HTTP
 * on a free loopback port. */
#ifndef ROLES_SERVICE_MODULE_H
#define ROLES_SERVICE_MODULE_H

#include <lua.h>

/* [owner] Pushes the module's table; gives 1. */
int service_module_open(lua_State *L);

#endif
