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

/* The C function's stack all through; the tasks have the keys of their items. */
enum { AT_LIST = 1, AT_FUNCTION, AT_STATE, AT_GROUP, AT_TASKS, AT_RESULTS };

struct mapping {
  lua_Integer count, next, limit, running;
};

static void start_some(lua_State *L, struct mapping *mapping, struct task_group *group) {
  while (!group->cancelled && mapping->next <= mapping->count &&
         mapping->running < mapping->limit) {
    lua_Integer key = mapping->next++;
    lua_pushvalue(L, AT_FUNCTION);
    lua_geti(L, AT_LIST, key);
    struct task *task = task_spawn(L, 1);
    lua_rawseti(L, AT_TASKS, key);
    mapping->running++;
    task_group_add(group, task, key);
  }
}

/* What has failed stays among the tasks. */
static void take_ended(lua_State *L, struct mapping *mapping, struct task_group *group) {
  lua_Integer key;
  const struct task *task;
  while ((task = task_group_take_ended(group, &key))) {
    mapping->running--;
    if (task->status != TASK_DONE) continue;
    lua_rawgeti(L, AT_TASKS, key);
    children_push_result(L, lua_gettop(L));
    lua_rawseti(L, AT_RESULTS, key);
    lua_pop(L, 1);
    lua_pushnil(L);
    lua_rawseti(L, AT_TASKS, key);
  }
}

static int woken(lua_State *L, int status, lua_KContext context);

static lua_nret go_on(lua_State *L) {
  struct mapping *mapping = lua_touserdata(L, AT_STATE);
  struct task_group *group = lua_touserdata(L, AT_GROUP);
  take_ended(L, mapping, group);
  start_some(L, mapping, group);
  if (mapping->running > 0) return task_group_wait(L, group, NAME, 0, woken);
  children_check_cancelled(L, group, AT_TASKS);
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
  lua_Integer count = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : luaL_len(L, AT_LIST);
  lua_pop(L, 1);
  return count < 0 ? 0 : count;
}

/* The option `limit` of the table at 3; without it all run at once. */
static lua_Integer read_limit(lua_State *L) {
  static const char *const names[] = {"limit", NULL};
  if (lua_isnoneornil(L, 3)) return LUA_MAXINTEGER;
  options_check(L, 3, names);
  if (lua_getfield(L, 3, "limit") == LUA_TNIL) return LUA_MAXINTEGER;
  lua_Integer limit = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
  if (limit < 1) luaL_error(L, "option \"limit\" is a whole number from 1 on");
  return limit;
}

static lua_nret begin(lua_State *L) {
  luaL_checktype(L, AT_LIST, LUA_TTABLE);
  task_check_callable(L, AT_FUNCTION, "async.map takes a list and a function");
  lua_Integer limit = read_limit(L);
  lua_settop(L, AT_FUNCTION);
  struct mapping *mapping = lua_newuserdatauv(L, sizeof *mapping, 0);
  *mapping = (struct mapping){.count = count_items(L), .next = 1, .limit = limit};
  struct task_group *group =
      children_push_group(L, GROUP_FIRST_FAILED, "another one of the map failed");
  group->keeps_ended = true;
  lua_newtable(L);
  lua_newtable(L);
  class_set_array(L, -1);
  lua_pushinteger(L, mapping->count);
  lua_setfield(L, -2, "n");
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
