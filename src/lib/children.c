/* children.c - starting children, their results, and one error made of several.
 *
 * A table of tasks has a task for each child, under the child's key. */
#include "lib/children.h"

#include "core/class.h"
#include "core/error.h"
#include "core/fiber.h"
#include "lib/task.h"

#include <lauxlib.h>

#define GROUP_CLASS "perilune.task_group"

enum { CHILD_VALUES_MAX = 250000, TRACED_ERRORS_MAX = 8 };

static int release(lua_State *L) {
  struct task_group *group = lua_touserdata(L, 1);
  if (group->members.next && !list_is_empty(&group->members))
    task_group_cancel(group, "what waited for it is gone");
  task_group_finish(group);
  return 0;
}

static int describe(lua_State *L) {
  const struct task_group *group = lua_touserdata(L, 1);
  int count = 0;
  for (const struct list *link = group->members.next; link != &group->members; link = link->next)
    count++;
  lua_pushfstring(L, count == 1 ? "%d task" : "%d tasks", count);
  return 1;
}

void children_open(lua_State *L) {
  luaL_newmetatable(L, GROUP_CLASS);
  lua_pushcfunction(L, release);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, describe);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
}

struct task_group *children_push_group(lua_State *L, enum task_group_first matters,
                                       const char *reason) {
  struct task_group *group = lua_newuserdatauv(L, sizeof *group, 0);
  task_group_init(group, matters, reason);
  luaL_setmetatable(L, GROUP_CLASS);
  return group;
}

/* ---- starting ---- */

/* The number of values in { fn, args... } at `index`: its n, else its length. */
static int count_values(lua_State *L, int index, const char *what) {
  lua_pushliteral(L, "n");
  lua_rawget(L, index);
  lua_Integer count =
      lua_isinteger(L, -1) ? lua_tointeger(L, -1) : (lua_Integer)lua_rawlen(L, index);
  lua_pop(L, 1);
  if (count < 1 || count > CHILD_VALUES_MAX)
    luaL_error(L, "%s: a table { fn, args... } has 1 to %d values, one has %I", what,
               CHILD_VALUES_MAX, (LUAI_UACINT)count);
  return (int)count;
}

static bool is_child(lua_State *L, int index) {
  if (lua_isfunction(L, index) || task_at(L, index)) return true;
  if (!lua_istable(L, index)) return false;
  bool has_function = lua_rawgeti(L, index, 1) == LUA_TFUNCTION;
  lua_pop(L, 1);
  return has_function;
}

void children_check(lua_State *L, int table, const char *what) {
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    int child = lua_gettop(L);
    if (is_child(L, child)) {
      if (lua_istable(L, child)) count_values(L, child, what);
      continue;
    }
    luaL_error(L, "%s takes functions, tasks and tables { fn, args... }; %s is a %s", what,
               luaL_tolstring(L, -2, NULL), luaL_typename(L, -2));
  }
}

/* Pushes the task of the child on top of the stack (popped). */
static void start_child(lua_State *L, struct task_group *group) {
  int child = lua_gettop(L);
  struct task *task = task_at(L, child);
  if (!task && lua_isfunction(L, child)) {
    task = task_spawn(L, 0);
  } else if (!task) {
    int count = count_values(L, child, "a child");
    luaL_checkstack(L, count, "too many arguments");
    for (int i = 1; i <= count; i++) lua_rawgeti(L, child, i);
    task = task_spawn(L, count - 1);
    lua_replace(L, child);
  }
  task_group_add(group, task, 0);
}

/* Lists come first to last, so that children start in order; then what has other keys. */
void children_start(lua_State *L, int table, int tasks, struct task_group *group) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, table);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, table, i);
    start_child(L, group);
    lua_rawseti(L, tasks, i);
  }
  for (lua_pushnil(L); lua_next(L, table);) {
    if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 && lua_tointeger(L, -2) <= count) {
      lua_pop(L, 1);
      continue;
    }
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    start_child(L, group);
    lua_rawset(L, tasks);
  }
}

/* ---- results ---- */

void children_push_result(lua_State *L, int index) {
  const struct task *task = task_at(L, index);
  if (lua_getiuservalue(L, index, TASK_VALUE_RESULT) != LUA_TTABLE || task->status != TASK_DONE) {
    lua_pop(L, 1);
    lua_pushnil(L);
    return;
  }
  lua_rawgeti(L, -1, 1);
  lua_remove(L, -2);
}

/* ---- errors ---- */

/* Errors that are collected: where each table is on the stack, and how many there are. */
struct errors {
  int raised; /* the error that they are added to */
  int others; /* the list */
  int seen;   /* tasks that are in it */
  lua_Integer count;
};

/* Adds the error of the task on top of the stack, unless that did not fail or is there already. */
static void add_error(lua_State *L, struct errors *errors, const struct task *but) {
  int task = lua_gettop(L);
  const struct task *other = task_at(L, task);
  lua_pushvalue(L, task);
  bool is_seen = lua_rawget(L, errors->seen) != LUA_TNIL;
  lua_getiuservalue(L, task, TASK_VALUE_RESULT);
  bool is_same = lua_istable(L, -1) && lua_rawequal(L, -1, errors->raised);
  if (other == but || other->status != TASK_FAILED || is_seen || is_same) {
    lua_settop(L, task);
    return;
  }
  lua_rawseti(L, errors->others, ++errors->count);
  lua_pushvalue(L, task);
  lua_pushboolean(L, true);
  lua_rawset(L, errors->seen);
  lua_settop(L, task);
}

/* Collects by key: lists in order, then the rest. */
static void collect_errors(lua_State *L, int tasks, struct errors *errors, const struct task *but) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, tasks);
  for (lua_Integer i = 1; i <= count; i++, lua_pop(L, 1)) {
    lua_rawgeti(L, tasks, i);
    if (task_at(L, -1)) add_error(L, errors, but);
  }
  for (lua_pushnil(L); lua_next(L, tasks); lua_pop(L, 1))
    if (task_at(L, -1)) add_error(L, errors, but);
}

/* Pushes the traceback with a line for each of the other errors. */
static void push_joined(lua_State *L, const char *traceback, const struct errors *errors) {
  lua_pushstring(L, traceback ? traceback : "");
  for (lua_Integer i = 1; i <= errors->count && i <= TRACED_ERRORS_MAX; i++) {
    lua_rawgeti(L, errors->others, i);
    const char *text = error_push_text(L, -1);
    lua_pushfstring(L, "%s\nanother one failed, too: %s", lua_tostring(L, -3), text);
    lua_replace(L, -4);
    lua_pop(L, 2);
  }
  lua_Integer more = errors->count - TRACED_ERRORS_MAX;
  if (more > 0) {
    lua_pushfstring(L, "%s\nand %I more", lua_tostring(L, -1), (LUAI_UACINT)more);
    lua_remove(L, -2);
  }
}

void children_join_errors(lua_State *L, int tasks, int error, const char *traceback,
                          const struct task *but, int further) {
  int top = lua_gettop(L);
  if (!traceback) traceback = fiber_find_trail(L, error);
  luaL_checkstack(L, 12, "errors");
  lua_newtable(L);
  class_set_array(L, -1);
  lua_newtable(L);
  struct errors errors = {.raised = error, .others = top + 1, .seen = top + 2};
  collect_errors(L, tasks, &errors, but);
  if (further) {
    lua_pushvalue(L, further);
    lua_rawseti(L, errors.others, ++errors.count);
  }
  if (errors.count > 0 && lua_istable(L, error)) {
    lua_pushliteral(L, "others");
    lua_pushvalue(L, errors.others);
    lua_rawset(L, error);
  }
  push_joined(L, traceback, &errors);
  if (traceback || errors.count > 0) fiber_set_trail(L, error, lua_tostring(L, -1));
  lua_settop(L, top);
}

void children_raise(lua_State *L, int tasks, const struct task *failed, int further) {
  luaL_checkstack(L, 4, "errors");
  for (lua_pushnil(L); lua_next(L, tasks); lua_pop(L, 1)) {
    if (task_at(L, -1) != failed) continue;
    int task = lua_gettop(L);
    task_push_error(L, task);
    int error = lua_gettop(L);
    children_join_errors(L, tasks, error, task_push_traceback(L, task), failed, further);
    lua_settop(L, error);
    lua_error(L);
  }
  luaL_error(L, "the error of a task is lost");
  __builtin_unreachable();
}

void children_check_cancelled(lua_State *L, struct task_group *group, int tasks) {
  if (!group->parent_cancelled) return;
  scope_pop(&group->shield);
  fiber_push_cancelled(L, scope_find_cancelled(fiber_running(L)));
  if (group->errors > 0) children_join_errors(L, tasks, lua_gettop(L), NULL, NULL, 0);
  lua_error(L);
}
