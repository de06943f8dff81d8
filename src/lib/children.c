/* children.c - starting children, their results, and one error made of several.
 *
 * A table of tasks has a task for each child, under the child's key. */
#include "lib/children.h"

#include "core/class.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/state.h"
#include "lib/task.h"

#include <lauxlib.h>
#include <stdlib.h>

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
  scope_base(fiber_running(L)); /* so that there is one around */
  group->around = fiber_running(L)->scope;
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

static bool has_function(lua_State *L, int index) {
  if (!lua_istable(L, index)) return false;
  lua_rawgeti(L, index, 1);
  bool is_callable = task_is_callable(L, -1);
  lua_pop(L, 1);
  return is_callable;
}

/* The key and the value that is no child are on top of the stack. A table { fn, args... } as the
 * only argument was taken for a list. */
static NO_RETURN void raise_no_child(lua_State *L, int table, const char *what, bool is_alone) {
  const char *type = luaL_typename(L, -1), *key = luaL_tolstring(L, -2, NULL), *hint = "";
  if (is_alone && has_function(L, table))
    hint = " (a table that is the only argument is a list: { { fn, args... } })";
  luaL_error(L, "%s takes functions, tasks and tables { fn, args... }; %s is a %s%s", what, key,
             type, hint);
  abort();
}

/* Pushes the key of the first hole of a list, or gives false. */
static bool push_hole(lua_State *L, int table) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, table);
  for (lua_Integer i = 1; i <= count; i++) {
    bool is_hole = lua_rawgeti(L, table, i) == LUA_TNIL;
    lua_pop(L, 1);
    if (!is_hole) continue;
    lua_pushinteger(L, i);
    return true;
  }
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) <= count) continue;
    lua_pushinteger(L, count + 1);
    return true;
  }
  return false;
}

void children_check(lua_State *L, int table, const char *what, bool is_alone) {
  if (push_hole(L, table)) {
    lua_pushnil(L);
    raise_no_child(L, table, what, false);
  }
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    int child = lua_gettop(L);
    const struct task *task = task_at(L, child);
    if (task) task_check_wait(L, task);
    if (task || task_is_callable(L, child)) continue;
    if (!has_function(L, child)) raise_no_child(L, table, what, is_alone);
    count_values(L, child, what);
  }
}

/* Pushes the task of the child on top of the stack (popped). */
static void start_child(lua_State *L, struct task_group *group) {
  int child = lua_gettop(L), count = 1;
  struct task *task = task_at(L, child);
  if (task) {
    task_group_add(group, task, 0);
    return;
  }
  if (!task_is_callable(L, child)) {
    count = count_values(L, child, "a child");
    luaL_checkstack(L, count, "too many arguments");
    for (int i = 1; i <= count; i++) lua_rawgeti(L, child, i);
    lua_remove(L, child);
  }
  task_group_adopt(group, task_spawn(L, count - 1), 0);
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

/* Registry key: the lists that were put into errors here (weak keys). */
static const char lists_key = 0;

/* Errors that are collected: where each table is on the stack, and how many there are. */
struct errors {
  int raised; /* the error that they are added to */
  int others; /* the list */
  int seen;   /* tasks that are in it */
  lua_Integer count;
};

/* Pushes the field `others` of the error at `index`, if it is a list, and gives true. */
static bool push_others_of(lua_State *L, int index) {
  if (!lua_istable(L, index)) return false;
  lua_pushliteral(L, "others");
  if (lua_rawget(L, index) == LUA_TTABLE && class_is_array(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

/* Pushes the list to add to: what the error has gathered on its way here, or a new one. */
static void push_list(lua_State *L, struct errors *errors, bool came_joined) {
  if (came_joined && push_others_of(L, errors->raised)) {
    errors->count = (lua_Integer)lua_rawlen(L, -1);
    return;
  }
  lua_newtable(L);
  class_set_array(L, -1);
}

/* Whether the error has a list that was put there when it was raised at another time. */
static bool has_old_list(lua_State *L, int index) {
  if (!push_others_of(L, index)) return false;
  state_push_weak_table(L, &lists_key);
  lua_insert(L, -2);
  bool is_ours = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return is_ours;
}

static void keep_list(lua_State *L, const struct errors *errors) {
  if (!lua_istable(L, errors->raised)) return;
  if (errors->count == 0 && !has_old_list(L, errors->raised)) return;
  state_push_weak_table(L, &lists_key);
  lua_pushvalue(L, errors->others);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  lua_pushliteral(L, "others");
  if (errors->count > 0)
    lua_pushvalue(L, errors->others);
  else
    lua_pushnil(L);
  lua_rawset(L, errors->raised);
}

/* Adds the value on top of the stack (popped). */
static void add_value(lua_State *L, struct errors *errors) {
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushliteral(L, "nil"); /* no hole in the list */
  }
  lua_rawseti(L, errors->others, ++errors->count);
}

/* Adds an error at `index`: of a cancellation only what it has gathered. */
static void add_error(lua_State *L, struct errors *errors, int index, bool came_joined) {
  if (!error_is(L, index, "cancelled")) {
    lua_pushvalue(L, index);
    add_value(L, errors);
    return;
  }
  if (!came_joined || !push_others_of(L, index)) return;
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, i);
    add_value(L, errors);
  }
  lua_pop(L, 1);
}

/* Adds the error of the task on top of the stack, unless it is there already. */
static void add_task(lua_State *L, struct errors *errors, const struct task *but) {
  int top = lua_gettop(L);
  const struct task *task = task_at(L, top);
  if (!task || task == but || !task_has_errors(task)) return;
  lua_pushvalue(L, top);
  bool is_seen = lua_rawget(L, errors->seen) != LUA_TNIL;
  lua_getiuservalue(L, top, TASK_VALUE_RESULT);
  bool is_raised = lua_istable(L, -1) && lua_rawequal(L, -1, errors->raised);
  if (!is_seen && !is_raised) {
    add_error(L, errors, top + 2, task->is_joined);
    lua_pushvalue(L, top);
    lua_pushboolean(L, true);
    lua_rawset(L, errors->seen);
  }
  lua_settop(L, top);
}

/* Collects by key: lists in order, then the rest. */
static void collect_errors(lua_State *L, int tasks, struct errors *errors, const struct task *but) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, tasks);
  for (lua_Integer i = 1; i <= count; i++, lua_pop(L, 1)) {
    lua_rawgeti(L, tasks, i);
    add_task(L, errors, but);
  }
  for (lua_pushnil(L); lua_next(L, tasks); lua_pop(L, 1)) add_task(L, errors, but);
}

/* Pushes the traceback with a line for each of the other errors behind the first `known`. */
static void push_joined(lua_State *L, const char *traceback, const struct errors *errors,
                        lua_Integer known) {
  lua_pushstring(L, traceback ? traceback : "");
  for (lua_Integer i = known + 1; i <= errors->count && i <= known + TRACED_ERRORS_MAX; i++) {
    lua_rawgeti(L, errors->others, i);
    const char *text = error_push_text(L, -1);
    const char *before = lua_tostring(L, -3);
    lua_pushfstring(L, "%s%sanother one failed, too: %s", before, *before ? "\n" : "", text);
    lua_replace(L, -4);
    lua_pop(L, 2);
  }
  lua_Integer more = errors->count - known - TRACED_ERRORS_MAX;
  if (more > 0) {
    lua_pushfstring(L, "%s\nand %I more", lua_tostring(L, -1), (LUAI_UACINT)more);
    lua_remove(L, -2);
  }
}

void children_join_errors(lua_State *L, int tasks, int error, const char *traceback,
                          const struct task *but, int further) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 16, "errors");
  bool came_joined = but ? but->is_joined : fiber_is_joined(L, error);
  bool further_joined = further && fiber_is_joined(L, further);
  if (!traceback) traceback = fiber_find_trail(L, error);
  struct errors errors = {.raised = error, .others = top + 1, .seen = top + 2};
  push_list(L, &errors, came_joined);
  lua_newtable(L);
  lua_Integer known = errors.count;
  if (tasks) collect_errors(L, tasks, &errors, but);
  if (further && !lua_rawequal(L, further, error)) add_error(L, &errors, further, further_joined);
  keep_list(L, &errors);
  push_joined(L, traceback, &errors, known);
  if (traceback || errors.count > 0) fiber_set_trail(L, error, lua_tostring(L, -1));
  if (errors.count > 0) fiber_set_joined(L, true);
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

void children_check_cancelled(lua_State *L, struct task_group *group, int tasks, int further) {
  if (!group->parent_cancelled) return;
  scope_pop(&group->shield);
  fiber_push_cancelled(L, scope_find_cancelled(fiber_running(L)));
  if (group->errors > 0 || further)
    children_join_errors(L, tasks, lua_gettop(L), NULL, NULL, further);
  lua_error(L);
}
