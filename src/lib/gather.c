/* gather.c - the parent's side of gather: spawn, wait, cancel the rest, collect.
 *
 * Stack of the C function all through: 1 the gathering, 2 the tasks by key, 3 whether the caller
 * gave one table. A cancelled caller waits for its children under a shield. */
#include "lib/gather.h"

#include "core/error.h"
#include "core/fiber.h"
#include "core/worker.h"
#include "lib/task.h"

#include <lauxlib.h>
#include <stdbool.h>

#define GATHERING_CLASS "perilune.gathering"

enum { GATHER_ARGUMENTS_MAX = 250000 };

enum { AT_GATHERING = 1, AT_TASKS, AT_ONE_TABLE };

struct gathering {
  struct task_group group;
  struct scope shield;
  bool cancelled; /* the caller was */
  bool cancelling;
};

static int release(lua_State *L) {
  struct gathering *gathering = lua_touserdata(L, 1);
  task_group_finish(&gathering->group);
  if (gathering->shield.fiber) scope_pop(&gathering->shield);
  return 0;
}

void gather_open(lua_State *L) {
  luaL_newmetatable(L, GATHERING_CLASS);
  lua_pushcfunction(L, release);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

/* ---- the children ---- */

/* The number of values in { fn, args... } at `index`: its n, else its length. */
static int count_values(lua_State *L, int index) {
  lua_pushliteral(L, "n");
  lua_rawget(L, index);
  lua_Integer count =
      lua_isinteger(L, -1) ? lua_tointeger(L, -1) : (lua_Integer)lua_rawlen(L, index);
  lua_pop(L, 1);
  if (count < 1 || count > GATHER_ARGUMENTS_MAX)
    luaL_error(L, "gather: a table { fn, args... } has 1 to %d values, one has %I",
               GATHER_ARGUMENTS_MAX, (LUAI_UACINT)count);
  return (int)count;
}

static bool is_child(lua_State *L, int index) {
  if (lua_isfunction(L, index) || task_at(L, index)) return true;
  if (!lua_istable(L, index)) return false;
  bool has_function = lua_rawgeti(L, index, 1) == LUA_TFUNCTION;
  lua_pop(L, 1);
  return has_function;
}

/* All are looked at before any is started. */
static void check_children(lua_State *L, int table) {
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    int child = lua_gettop(L);
    if (is_child(L, child)) {
      if (lua_istable(L, child)) count_values(L, child);
      continue;
    }
    luaL_error(L, "gather takes functions, tasks and tables { fn, args... }; %s is a %s",
               luaL_tolstring(L, -2, NULL), luaL_typename(L, -2));
  }
}

/* Pushes the task of the child on top of the stack (popped). */
static void start_child(lua_State *L, struct task_group *group) {
  int child = lua_gettop(L);
  struct task *task = task_at(L, child);
  if (task) {
    task_join_group(task, group);
    return;
  }
  if (lua_isfunction(L, child)) {
    task_spawn(L, 0, group);
    return;
  }
  int count = count_values(L, child);
  luaL_checkstack(L, count, "too many arguments");
  for (int i = 1; i <= count; i++) lua_rawgeti(L, child, i);
  task_spawn(L, count - 1, group);
  lua_replace(L, child);
}

/* Lists come first to last, so that children start in order; then what has other keys. */
static void start_children(lua_State *L, int table, struct task_group *group) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, table);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, table, i);
    start_child(L, group);
    lua_rawseti(L, AT_TASKS, i);
  }
  for (lua_pushnil(L); lua_next(L, table);) {
    if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 && lua_tointeger(L, -2) <= count) {
      lua_pop(L, 1);
      continue;
    }
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    start_child(L, group);
    lua_rawset(L, AT_TASKS);
  }
}

static void cancel_children(lua_State *L, struct gathering *gathering, const char *reason) {
  gathering->cancelling = true;
  for (lua_pushnil(L); lua_next(L, AT_TASKS); lua_pop(L, 1)) task_cancel(task_at(L, -1), reason);
}

/* ---- waiting ---- */

static void push_first_result(lua_State *L, int task) {
  if (lua_getiuservalue(L, task, TASK_VALUE_RESULT) != LUA_TTABLE) return;
  lua_rawgeti(L, -1, 1);
  lua_remove(L, -2);
}

static int collect(lua_State *L) {
  if (!lua_toboolean(L, AT_ONE_TABLE)) {
    int count = (int)lua_rawlen(L, AT_TASKS);
    luaL_checkstack(L, count + 2, "too many results");
    for (int i = 1; i <= count; i++) {
      lua_rawgeti(L, AT_TASKS, i);
      push_first_result(L, lua_gettop(L));
      lua_remove(L, -2);
    }
    return count;
  }
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, AT_TASKS);) {
    push_first_result(L, lua_gettop(L));
    lua_pushvalue(L, -3);
    lua_insert(L, -2);
    lua_rawset(L, -5);
    lua_pop(L, 1);
  }
  return 1;
}

static NO_RETURN void raise_failed(lua_State *L, const struct task *failed) {
  for (lua_pushnil(L); lua_next(L, AT_TASKS); lua_pop(L, 1))
    if (task_at(L, -1) == failed) task_push_results(L, -1);
  luaL_error(L, "a task of the gather failed");
  __builtin_unreachable();
}

static int finish(lua_State *L, struct gathering *gathering) {
  struct fiber *fiber = fiber_running(L);
  if (gathering->cancelled) {
    scope_pop(&gathering->shield);
    fiber_raise_cancelled(L, scope_find_cancelled(fiber));
  }
  if (gathering->group.failed) raise_failed(L, gathering->group.failed);
  return collect(L);
}

static int woken(lua_State *L, int status, lua_KContext context);

static int wait_for_children(lua_State *L, struct gathering *gathering) {
  if (gathering->group.failed && !gathering->cancelling)
    cancel_children(L, gathering, "another one of the gather failed");
  if (list_is_empty(&gathering->group.members)) return finish(L, gathering);
  return fiber_park_inside(L, fiber_running(L), &gathering->group.waiting, "async.gather", 0,
                           woken);
}

static int woken(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct gathering *gathering = lua_touserdata(L, AT_GATHERING);
  if (fiber_was_cancelled(L) && !gathering->cancelled) {
    gathering->cancelled = true;
    scope_push(fiber_running(L), &gathering->shield, 0, true);
    cancel_children(L, gathering, "the gather was cancelled");
  }
  return wait_for_children(L, gathering);
}

int gather(lua_State *L) {
  int count = lua_gettop(L);
  bool one_table = count == 1 && lua_istable(L, 1);
  fiber_begin_wait(L, "async.gather");
  if (!one_table) {
    lua_createtable(L, count, 0);
    for (int i = 1; i <= count; i++) {
      luaL_argcheck(L, !lua_isnil(L, i), i, "a function, a task or { fn, args... } expected");
      lua_pushvalue(L, i);
      lua_rawseti(L, -2, i);
    }
    lua_replace(L, 1);
    lua_settop(L, 1);
  }
  check_children(L, 1);
  struct gathering *gathering = lua_newuserdatauv(L, sizeof *gathering, 0);
  *gathering = (struct gathering){0};
  task_group_init(&gathering->group);
  luaL_setmetatable(L, GATHERING_CLASS);
  lua_newtable(L);
  lua_pushboolean(L, one_table);
  lua_pushvalue(L, 1);
  lua_remove(L, 1); /* gathering, tasks, one table, children */
  start_children(L, 4, &gathering->group);
  lua_settop(L, AT_ONE_TABLE);
  return wait_for_children(L, gathering);
}
