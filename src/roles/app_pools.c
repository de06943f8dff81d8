/* app_pools.c - reading and checking the table.
 *
 * Sizes are whole numbers within limits.h; a mistake is a load error that names the pool. */
#include "roles/app_pools.h"

#include "base/limits.h"
#include "base/settings.h"
#include "core/worker.h"
#include "roles/pool.h"

#include <lauxlib.h>

static int count_field(lua_State *L, const char *pool, const char *name, int max) {
  int is_integer = 1;
  lua_Integer count = 0;
  if (lua_getfield(L, -1, name) != LUA_TNIL) {
    count = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || count < 1 || count > max)
      luaL_error(L, "pool \"%s\": %s is a whole number from 1 to %d", pool, name, max);
  }
  lua_pop(L, 1);
  return (int)count;
}

void app_pools_read(lua_State *L, int index, struct pools *pools) {
  const struct settings *settings = worker_of(L)->process->settings;
  int top = lua_gettop(L);
  if (lua_getfield(L, index, "pools") == LUA_TTABLE) {
    for (lua_pushnil(L); lua_next(L, top + 1); lua_pop(L, 1)) {
      if (lua_type(L, -2) != LUA_TSTRING || !lua_istable(L, -1))
        luaL_error(L, "pools is a table of name to { threads = n, queue = n }");
      const char *name = lua_tostring(L, -2);
      int threads = count_field(L, name, "threads", POOL_THREADS_MAX);
      int calls = count_field(L, name, "queue", POOL_CALLS_MAX);
      if (!pools_configure(pools, name, threads ? threads : settings->pool_threads,
                           calls ? calls : settings->pool_calls_max))
        luaL_error(L, "pool \"%s\": an app has %d pools at most, default and tasks included", name,
                   POOLS_MAX);
    }
  }
  lua_settop(L, top);
}
