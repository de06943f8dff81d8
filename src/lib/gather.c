/* gather.c - the parent's side of gather, settle, race and any: start, wait, answer.
 *
 * They differ in whose end cancels the other children (task_group.h) and in what is made of the
 * results. Stack of the C function all through: 1 the group, 2 the tasks by key, 3 whether the
 * caller gave one table, 4 why not all could be started. */
#include "lib/gather.h"

#include "core/class.h"
#include "core/error.h"
#include "core/fiber.h"
#include "lib/children.h"
#include "lib/task.h"

#include <lauxlib.h>

enum { AT_GROUP = 1, AT_TASKS, AT_ONE_TABLE, AT_ERROR };

struct kind {
  const char *name;
  enum task_group_first matters;
  const char *reason; /* why the others are cancelled */
  bool needs_one;     /* there is no answer for no children */
  lua_nret (*answer)(lua_State *L, struct task_group *group);
};

/* Whether the table at `index`, of which `count` are a list, has further keys. */
static bool is_list(lua_State *L, int index) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, index), keys = 0;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) keys++;
  return keys == count;
}

/* Pushes a table with what `push` makes of each task, under the same keys. */
static void push_each(lua_State *L, void (*push)(lua_State *L, int task)) {
  lua_newtable(L);
  int result = lua_gettop(L);
  if (is_list(L, AT_TASKS)) class_set_array(L, result);
  for (lua_pushnil(L); lua_next(L, AT_TASKS); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    push(L, lua_gettop(L) - 1);
    lua_rawset(L, result);
  }
}

/* ---- answers ---- */

static lua_nret answer_all(lua_State *L, struct task_group *group) {
  if (group->first) children_raise(L, AT_TASKS, group->first, 0);
  if (lua_toboolean(L, AT_ONE_TABLE)) {
    push_each(L, children_push_result);
    return 1;
  }
  int count = (int)lua_rawlen(L, AT_TASKS);
  luaL_checkstack(L, count + 3, "too many results");
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, AT_TASKS, i);
    children_push_result(L, lua_gettop(L));
    lua_remove(L, -2);
  }
  return count;
}

static void push_outcome(lua_State *L, int index) {
  bool is_done = task_at(L, index)->status == TASK_DONE;
  lua_createtable(L, 0, 2);
  lua_pushboolean(L, is_done);
  lua_setfield(L, -2, "ok");
  if (is_done)
    children_push_result(L, index);
  else
    task_push_error(L, index);
  lua_setfield(L, -2, is_done ? "value" : "error");
}

static lua_nret answer_settled(lua_State *L, struct task_group *group) {
  (void)group;
  push_each(L, push_outcome);
  return 1;
}

/* Pushes the key and the task of the first child of a kind: `wanted`, or any that is not done. */
static void push_child(lua_State *L, const struct task *wanted) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, AT_TASKS);
  for (lua_Integer i = 1; i <= count; i++, lua_pop(L, 2)) {
    lua_pushinteger(L, i);
    lua_rawgeti(L, AT_TASKS, i);
    const struct task *task = task_at(L, -1);
    if (wanted ? task == wanted : task->status != TASK_DONE) return;
  }
  for (lua_pushnil(L); lua_next(L, AT_TASKS); lua_pop(L, 1)) {
    const struct task *task = task_at(L, -1);
    if (wanted ? task == wanted : task->status != TASK_DONE) return;
  }
}

static lua_nret answer_first(lua_State *L, struct task_group *group) {
  push_child(L, group->first);
  const struct task *task = task_at(L, -1);
  if (task->status != TASK_DONE) children_raise(L, AT_TASKS, task, 0);
  int index = lua_gettop(L);
  int results = task_push_results(L, index);
  lua_settop(L, index + (results ? 1 + results : 0));
  if (results) lua_remove(L, index + 1); /* the table that they came from */
  lua_remove(L, index);
  return 1 + results;
}

/* ---- the course ---- */

static int woken(lua_State *L, int status, lua_KContext context);

static lua_nret go_on(lua_State *L, const struct kind *kind) {
  struct task_group *group = lua_touserdata(L, AT_GROUP);
  if (!list_is_empty(&group->members))
    return task_group_wait(L, group, kind->name, (lua_KContext)kind, woken);
  children_check_cancelled(L, group, AT_TASKS, 0);
  if (!lua_isnil(L, AT_ERROR)) return lua_error(L);
  lua_settop(L, AT_ONE_TABLE);
  return kind->answer(L, group);
}

static int woken(lua_State *L, int status, lua_KContext context) {
  (void)status;
  task_group_woken(L, lua_touserdata(L, AT_GROUP));
  return go_on(L, (const struct kind *)context);
}

/* Makes the arguments one table at 1. */
static void gather_arguments(lua_State *L) {
  int count = lua_gettop(L);
  lua_createtable(L, count, 0);
  for (int i = 1; i <= count; i++) {
    luaL_argcheck(L, !lua_isnil(L, i), i, "a function, a task or { fn, args... } expected");
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, i);
  }
  lua_replace(L, 1);
  lua_settop(L, 1);
}

/* start(children, tasks, group) */
static int start(lua_State *L) {
  children_start(L, 1, 2, lua_touserdata(L, 3));
  return 0;
}

static lua_nret begin(lua_State *L, const struct kind *kind) {
  bool one_table = lua_gettop(L) == 1 && lua_istable(L, 1) && !task_is_callable(L, 1);
  if (!one_table && lua_gettop(L) > 0) gather_arguments(L);
  if (lua_gettop(L) == 0) lua_newtable(L);
  children_check(L, 1, kind->name, one_table);
  lua_pushnil(L);
  if (kind->needs_one && !lua_next(L, 1))
    return luaL_error(L, "%s needs at least one function or task", kind->name);
  lua_settop(L, 1);
  struct task_group *group = children_push_group(L, kind->matters, kind->reason);
  lua_newtable(L);
  lua_pushboolean(L, one_table);
  lua_pushcfunction(L, start);
  lua_rotate(L, 1, -1); /* group, tasks, one_table, start, children */
  lua_pushvalue(L, AT_TASKS);
  lua_pushvalue(L, AT_GROUP);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) task_group_cancel(group, "not all could be started");
  lua_settop(L, AT_ERROR);
  return go_on(L, kind);
}

static int paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  fiber_check_cancelled(L);
  return begin(L, (const struct kind *)context);
}

static lua_nret run(lua_State *L, const struct kind *kind) {
  fiber_begin_wait(L, kind->name);
  if (fiber_must_pause(L)) return fiber_pause(L, kind->name, (lua_KContext)kind, paused);
  return begin(L, kind);
}

int gather(lua_State *L) {
  static const struct kind kind = {"async.gather", GROUP_FIRST_FAILED,
                                   "another one of the gather failed", false, answer_all};
  return run(L, &kind);
}

int gather_settled(lua_State *L) {
  static const struct kind kind = {"async.settle", GROUP_FIRST_NONE, "", false, answer_settled};
  return run(L, &kind);
}

int gather_first_ended(lua_State *L) {
  static const struct kind kind = {"async.race", GROUP_FIRST_ENDED, "another one has won the race",
                                   true, answer_first};
  return run(L, &kind);
}

int gather_first_done(lua_State *L) {
  static const struct kind kind = {"async.any", GROUP_FIRST_DONE, "another one has succeeded", true,
                                   answer_first};
  return run(L, &kind);
}
