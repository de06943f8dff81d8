/* group.c - the body of a group under a scope, and the wait for its children.
 *
 * A child that fails cancels the scope of the body and the other children; the body that fails
 * cancels the children. Failed children are kept until the group raises; others go when they end,
 * so a group may live as long as the server. */
#include "lib/group.h"

#include "core/class.h"
#include "core/error.h"
#include "core/fiber.h"
#include "lib/children.h"
#include "lib/task.h"

#include <lauxlib.h>
#include <string.h>

#define CLASS_GROUP "perilune.group"
#define OWN_CLASS   "perilune.body_group"
#define NAME        "async.group"

/* Stack of the C function: its own part of the group, the message handler; then the results of the
 * body, or its error. */
enum { AT_GROUP = 1, AT_HANDLER, AT_RESULTS };

/* What the body gets is another userdata, whose only user value is this one: its end is for the C
 * function alone, or for the collector. */
struct body_group {
  struct task_group children;
  struct scope body;
  bool has_ended;
  bool body_failed;
  bool body_was_first;       /* it failed before any child did */
  struct fiber *beginner;    /* in which the body began; it may end in another one */
  const void *joined_before; /* the error that had others before the body began */
};

/* Also called when the coroutine that the body has suspended is closed. */
static int release(lua_State *L) {
  struct body_group *group = lua_touserdata(L, 1);
  group->has_ended = true;
  if (!list_is_empty(&group->children.members))
    task_group_cancel(&group->children, "its group is gone");
  task_group_finish(&group->children);
  luaL_unref(L, LUA_REGISTRYINDEX, group->children.failures);
  group->children.failures = LUA_NOREF;
  scope_pop(&group->body);
  return 0;
}

/* ---- the end ---- */

/* Every child has ended, and so has the body. */
static lua_nret answer(lua_State *L, struct body_group *group) {
  int results = lua_gettop(L) - AT_HANDLER;
  group->has_ended = true;
  luaL_checkstack(L, 1, "results");
  lua_rawgeti(L, LUA_REGISTRYINDEX, group->children.failures);
  int failed = lua_gettop(L);
  int body_error = group->body_failed ? AT_RESULTS : 0;
  children_check_cancelled(L, &group->children, failed, body_error);
  if (group->children.first && !group->body_was_first)
    children_raise(L, failed, group->children.first, body_error);
  if (group->body_failed) {
    if (group->children.errors > 0) children_join_errors(L, failed, AT_RESULTS, NULL, NULL, 0);
    lua_settop(L, AT_RESULTS);
    return lua_error(L);
  }
  lua_pop(L, 1);
  return results;
}

static int woken(lua_State *L, int status, lua_KContext context);

static lua_nret go_on(lua_State *L) {
  struct body_group *group = lua_touserdata(L, AT_GROUP);
  if (list_is_empty(&group->children.members)) return answer(L, group);
  fiber_begin_wait(L, NAME); /* the body may have ended where nothing can wait */
  return task_group_wait(L, &group->children, NAME, 0, woken);
}

static int woken(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  task_group_woken(L, &((struct body_group *)lua_touserdata(L, AT_GROUP))->children);
  return go_on(L);
}

static int body_ended(lua_State *L, int status, lua_KContext context) {
  (void)context;
  struct body_group *group = lua_touserdata(L, AT_GROUP);
  group->body_failed = status != LUA_OK && status != LUA_YIELD;
  group->body_was_first = group->body_failed && !group->children.first;
  scope_pop(&group->body);
  group->children.scope = NULL;
  struct fiber *fiber = fiber_running(L);
  if (!fiber) return luaL_error(L, NAME " has ended outside of a task");
  if (fiber != group->beginner && task_group_has(&group->children, fiber))
    return luaL_error(L,
                      "a task cannot wait for itself: the function of the group was resumed, and "
                      "has ended, in one of its children");
  group->children.around = fiber->scope;
  if (group->body_failed && lua_topointer(L, AT_RESULTS) == group->joined_before)
    fiber_set_joined(L, false); /* raised again */
  if (group->body_was_first) {
    bool was_cancelled = error_is(L, AT_RESULTS, "cancelled");
    task_group_cancel(&group->children, was_cancelled ? "the function of the group was cancelled"
                                                      : "the function of the group failed");
  }
  return go_on(L);
}

/* ---- the beginning ---- */

/* Pushes a group whose failures are kept. */
static struct body_group *push_group(lua_State *L) {
  struct body_group *group = lua_newuserdatauv(L, sizeof *group, 0);
  *group = (struct body_group){0};
  task_group_init(&group->children, GROUP_FIRST_ERROR, "another one of the group failed");
  luaL_setmetatable(L, OWN_CLASS);
  lua_newtable(L);
  group->children.failures = luaL_ref(L, LUA_REGISTRYINDEX);
  return group;
}

/* Pushes what the body gets. */
static void push_handle(lua_State *L) {
  lua_newuserdatauv(L, 0, 1);
  lua_pushvalue(L, AT_GROUP);
  lua_setiuservalue(L, -2, 1);
  class_push(L, CLASS_GROUP);
  lua_setmetatable(L, -2);
}

static lua_nret begin(lua_State *L) {
  lua_settop(L, 1);
  struct body_group *group = push_group(L);
  lua_insert(L, AT_GROUP);
  lua_toclose(L, AT_GROUP);
  lua_pushcfunction(L, fiber_save_trail);
  lua_insert(L, AT_HANDLER);
  push_handle(L);
  struct fiber *fiber = fiber_running(L);
  group->beginner = fiber;
  group->joined_before = fiber_joined_error(fiber);
  scope_base(fiber); /* so that there is one around when the body has ended */
  scope_push(fiber, &group->body, 0, false);
  group->children.scope = group->children.around = &group->body;
  return body_ended(L, lua_pcallk(L, 1, LUA_MULTRET, AT_HANDLER, 0, body_ended), 0);
}

static int paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return begin(L);
}

int group(lua_State *L) {
  task_check_callable(L, 1, "async.group takes a function(group)");
  fiber_begin_wait(L, NAME);
  if (fiber_must_pause(L)) return fiber_pause(L, NAME, 0, paused);
  return begin(L);
}

/* spawn(self, fn, ...) -> task */
static int spawn(lua_State *L) {
  const char *class = class_name(L, 1);
  if (!class || strcmp(class, CLASS_GROUP) != 0)
    return luaL_error(L, "spawn was called without its group: use a colon (group:spawn)");
  lua_getiuservalue(L, 1, 1);
  struct body_group *group = lua_touserdata(L, -1);
  lua_pop(L, 1); /* the handle keeps it */
  task_check_callable(L, 2, "group:spawn takes a function and its arguments");
  if (group->has_ended) return luaL_error(L, "the group has ended: it takes no more tasks");
  struct task *task = task_spawn(L, lua_gettop(L) - 2);
  task_group_adopt(&group->children, task, 0);
  return 1;
}

void group_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"spawn", spawn}, {NULL, NULL}};
  static const luaL_Reg ends[] = {{"__gc", release}, {"__close", release}, {NULL, NULL}};
  lua_newtable(L);
  lua_pushliteral(L, CLASS_GROUP);
  lua_setfield(L, -2, "__name");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  class_register(L, CLASS_GROUP);
  luaL_newmetatable(L, OWN_CLASS);
  luaL_setfuncs(L, ends, 0);
  lua_pop(L, 2);
}
