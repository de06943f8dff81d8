/* app_pools.c - reading and checking the table.
 *
 * Sizes are whole numbers within limits.h; a mistake is a load error that names the pool. */
#include "roles/app_pools.h"

#include "base/limits.h"
#include "base/settings.h"
#include "core/place.h"
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

/* Raises when a marked function, on top, names a pool that is not there. */
static void check_mark(lua_State *L, struct pools *pools) {
  const struct place *place = place_of(L, -1);
  if (!place->pool || pools_have(pools, place->pool)) return;
  luaL_error(L, "%s: there is no pool '%s' in this app", place_push_title(L, place->identity),
             place->pool);
}

static void check_marks(lua_State *L, struct pools *pools) {
  place_push_marks(L);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i >= 1; i--, lua_pop(L, 1)) {
      lua_rawgeti(L, -1, i);
      check_mark(L, pools);
    }
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
  check_marks(L, pools);
  lua_settop(L, top);
}
