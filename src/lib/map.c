/* map.c - a window of children over a list.
 *
 * The group keeps what has ended, so that each result is taken and its task let go while others
 * still run: a long list costs its results and a window of tasks. */
#include "lib/map.h"

#include "core/class.h"
#include "core/fiber.h"
#include "lib/children.h"
#include "lib/options.h"
#include "lib/task.h"

#include <lauxlib.h>

#define NAME "async.map"

#define FAILED "another one of the map failed"

/* The C function's stack all through; the tasks have the keys of their items. */
enum { AT_LIST = 1, AT_FUNCTION, AT_STATE, AT_GROUP, AT_TASKS, AT_RESULTS, AT_ERROR };

struct mapping {
  lua_Integer count, next, limit, running;
  bool failed; /* by itself, with the error at AT_ERROR */
};

/* The key has a place among the tasks before there is one: from then on nothing can fail. */
static void start_next(lua_State *L, struct mapping *mapping, struct task_group *group) {
  lua_Integer key = mapping->next++;
  lua_pushboolean(L, false);
  lua_rawseti(L, AT_TASKS, key);
  lua_pushvalue(L, AT_FUNCTION);
  lua_geti(L, AT_LIST, key);
  struct task *task = task_spawn(L, 1);
  lua_rawseti(L, AT_TASKS, key);
  mapping->running++;
  task_group_adopt(group, task, key);
}

/* What has failed stays among the tasks. */
static void take_ended(lua_State *L, struct mapping *mapping, struct task_group *group) {
  lua_Integer key;
  const struct task *task;
  while ((task = task_group_take_ended(group, &key))) {
    mapping->running--;
    if (task->status != TASK_DONE || mapping->failed) continue;
    lua_rawgeti(L, AT_TASKS, key);
    children_push_result(L, lua_gettop(L));
    lua_rawseti(L, AT_RESULTS, key);
    lua_pop(L, 1);
    lua_pushnil(L);
    lua_rawseti(L, AT_TASKS, key);
  }
}

/* As the map's own stack, up to its error. Raises when there is no memory, and what the list does,
 * which may have a metatable. */
static int advance(lua_State *L) {
  struct mapping *mapping = lua_touserdata(L, AT_STATE);
  struct task_group *group = lua_touserdata(L, AT_GROUP);
  take_ended(L, mapping, group);
  while (!group->cancelled && mapping->next <= mapping->count && mapping->running < mapping->limit)
    start_next(L, mapping, group);
  return 0;
}

static void advance_protected(lua_State *L, struct mapping *mapping, struct task_group *group) {
  lua_pushcfunction(L, fiber_save_trail);
  lua_pushcfunction(L, advance);
  for (int i = AT_LIST; i <= AT_ERROR; i++) lua_pushvalue(L, i);
  if (lua_pcall(L, AT_ERROR, 0, AT_ERROR + 1) != LUA_OK) {
    if (!mapping->failed) lua_replace(L, AT_ERROR);
    mapping->failed = true;
    task_group_cancel(group, FAILED);
  }
  lua_settop(L, AT_ERROR);
}

static int woken(lua_State *L, int status, lua_KContext context);

static lua_nret go_on(lua_State *L) {
  struct mapping *mapping = lua_touserdata(L, AT_STATE);
  struct task_group *group = lua_touserdata(L, AT_GROUP);
  do advance_protected(L, mapping, group);
  while (!list_is_empty(&group->ended));
  if (mapping->running > 0) return task_group_wait(L, group, NAME, 0, woken);
  children_check_cancelled(L, group, AT_TASKS, 0);
  if (mapping->failed) {
    children_join_errors(L, AT_TASKS, AT_ERROR, NULL, NULL, 0);
    return lua_error(L);
  }
  lua_settop(L, AT_RESULTS);
  if (group->first) children_raise(L, AT_TASKS, group->first, 0);
  return 1;
}

static int woken(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  task_group_woken(L, lua_touserdata(L, AT_GROUP));
  return go_on(L);
}

/* The number of items: their `n` where there is one, as table.pack has it, else the length. */
static lua_Integer count_items(lua_State *L) {
  lua_pushliteral(L, "n");
  lua_rawget(L, AT_LIST);
  bool has_n = lua_isinteger(L, -1);
  lua_Integer count = has_n ? lua_tointeger(L, -1) : luaL_len(L, AT_LIST);
  lua_pushnil(L);
  if (!has_n && count == 0 && lua_next(L, AT_LIST))
    luaL_error(L, NAME " takes a list; this table has no items, but a key that is a %s",
               luaL_typename(L, -2));
  lua_settop(L, AT_FUNCTION);
  return count < 0 ? 0 : count;
}

/* The option `limit` of the table at 3; without it all run at once. */
static lua_Integer read_limit(lua_State *L) {
  static const char *const names[] = {"limit", NULL};
  if (lua_isnoneornil(L, 3)) return LUA_MAXINTEGER;
  options_check(L, 3, names);
  if (lua_getfield(L, 3, "limit") == LUA_TNIL) return LUA_MAXINTEGER;
  lua_Integer limit = lua_type(L, -1) == LUA_TNUMBER ? lua_tointeger(L, -1) : 0;
  if (limit < 1) luaL_error(L, "option \"limit\" is a whole number from 1 on");
  return limit;
}

static lua_nret begin(lua_State *L) {
  luaL_checktype(L, AT_LIST, LUA_TTABLE);
  task_check_callable(L, AT_FUNCTION, "async.map takes a list and a function");
  lua_Integer limit = read_limit(L);
  lua_settop(L, AT_FUNCTION);
  lua_Integer count = count_items(L);
  struct mapping *mapping = lua_newuserdatauv(L, sizeof *mapping, 0);
  *mapping = (struct mapping){.count = count, .next = 1, .limit = limit};
  struct task_group *group = children_push_group(L, GROUP_FIRST_FAILED, FAILED);
  group->keeps_ended = true;
  lua_newtable(L);
  lua_newtable(L);
  class_set_array(L, -1);
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
  lua_settop(L, AT_ERROR);
  return go_on(L);
}

static int paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return begin(L);
}

int map(lua_State *L) {
  fiber_begin_wait(L, NAME);
  if (fiber_must_pause(L)) return fiber_pause(L, NAME, 0, paused);
  return begin(L);
}
