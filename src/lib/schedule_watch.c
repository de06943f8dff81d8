/* schedule_watch.c - the watchers of a state, by instance, and how they are called.
 *
 * They run inside the call to schedule: they cannot wait, and what they raise is raised there. */
#include "lib/schedule_watch.h"

#include "core/function_name.h"
#include "core/worker.h"
#include "lib/task_options.h"

#include <lauxlib.h>

/* Registry key: a table from instances to their watchers. */
static const char watchers_key = 0;

void schedule_watch_set(lua_State *L, const struct instance *instance) {
  int *watchers = &worker_of(L)->tasks.watchers;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &watchers_key) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &watchers_key);
  }
  lua_insert(L, -2);
  bool had_one = lua_rawgetp(L, -2, instance) != LUA_TNIL;
  lua_pop(L, 1);
  *watchers += (lua_isnil(L, -1) ? 0 : 1) - (had_one ? 1 : 0);
  lua_rawsetp(L, -2, instance);
  lua_pop(L, 1);
}

/* Pushes the watcher, or pushes nothing and gives false. */
static bool push_watcher(lua_State *L, const struct instance *instance) {
  if (!instance || worker_of(L)->tasks.watchers == 0) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &watchers_key);
  lua_rawgetp(L, -1, instance);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

static void push_name(lua_State *L, int function, int options) {
  if (options && task_options_push_field(L, options, "name") == LUA_TSTRING) return;
  if (options) lua_pop(L, 1);
  if (lua_isfunction(L, function))
    function_name_push(L, function);
  else
    lua_pushstring(L, luaL_typename(L, function));
}

void schedule_watch_ask(lua_State *L, const struct instance *instance, int function, int options) {
  luaL_checkstack(L, LUA_MINSTACK, "watch");
  if (!push_watcher(L, instance)) return;
  lua_pushliteral(L, "before");
  lua_pushvalue(L, function);
  push_name(L, function, options);
  lua_call(L, 3, 1);
  if (lua_isnil(L, -1))
    lua_pop(L, 1);
  else
    lua_replace(L, function);
}

void schedule_watch_tell(lua_State *L, const struct instance *instance, const char *when) {
  luaL_checkstack(L, LUA_MINSTACK, "watch");
  if (!push_watcher(L, instance)) return;
  lua_pushliteral(L, "after");
  lua_pushvalue(L, -3);
  lua_pushstring(L, when);
  lua_call(L, 3, 0);
}
