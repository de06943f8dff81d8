/* app_pools.h - from an app's field `pools` to the pools of the process.
 *
 * perilune.app { pools = { video = { threads = 2, queue = 100 } } }: what is left out is as the
 * settings have it. Read by the first state that loads the app. */
#ifndef ROLES_APP_POOLS_H
#define ROLES_APP_POOLS_H

#include <lua.h>

struct pools;

/* [owner] Adds the pools that the app at `index` asks for. Raises when its field is not such a
 * table. */
void app_pools_read(lua_State *L, int index, struct pools *pools);

#endif
