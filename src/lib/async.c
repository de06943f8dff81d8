/* async.c - sleep, now, checkpoint, spawn, timeout, shield; the rest has files of its own.
 *
 * Waits run on the clock of the running fiber, so that a virtual clock works for all of them. */
#include "lib/async.h"

#include "core/error.h"
#include "core/fiber.h"
#include "core/place.h"
#include "core/worker.h"
#include "lib/channel.h"
#include "lib/children.h"
#include "lib/event.h"
#include "lib/gather.h"
#include "lib/group.h"
#include "lib/map.h"
#include "lib/mutex.h"
#include "lib/options.h"
#include "lib/run_blocking.h"
#include "lib/running.h"
#include "lib/semaphore.h"
#include "lib/task.h"

#include <lauxlib.h>

#define SCOPE_CLASS "perilune.scope"

static int slept(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return 0;
}

static int sleep_for(lua_State *L) {
  uint64_t wait_ns = options_check_seconds(L, 1);
  struct fiber *fiber = fiber_begin_wait(L, "async.sleep");
  return fiber_park_until(L, fiber, "async.sleep", timers_now(fiber->timers) + wait_ns, 0, slept);
}

static int checkpoint(lua_State *L) {
  fiber_begin_wait(L, "async.checkpoint");
  return fiber_pause(L, "async.checkpoint", 0, slept);
}

static int now(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  const struct timers *timers = fiber ? fiber->timers : worker_of(L)->app_timers;
  lua_pushnumber(L, (lua_Number)timers_now(timers) / (lua_Number)NS_PER_SECOND);
  return 1;
}

static int spawn(lua_State *L) {
  task_check_callable(L, 1, "async.spawn takes a function and its arguments");
  if (place_is_loading(L))
    return luaL_error(L, "nothing can be spawned while the app loads: use app:on_start");
  if (!fiber_running(L)) return luaL_error(L, "async.spawn outside of a task");
  task_spawn(L, lua_gettop(L) - 1);
  return 1;
}

/* ---- timeout; stack: 1 the scope, 2 the message handler, then results or the error ---- */

static int release_scope(lua_State *L) {
  scope_pop(lua_touserdata(L, 1));
  return 0;
}

static struct scope *push_scope(lua_State *L) {
  struct scope *scope = lua_newuserdatauv(L, sizeof *scope, 0);
  *scope = (struct scope){0};
  luaL_setmetatable(L, SCOPE_CLASS);
  return scope;
}

/* An error that the function ended with, too, on top of the stack, is not lost. */
static NO_RETURN void raise_timeout(lua_State *L, lua_Number seconds, bool has_error) {
  int ended_with = lua_gettop(L);
  error_push(L, "timeout", "timeout after %f s", seconds);
  if (has_error)
    children_join_errors(L, 0, ended_with + 1, fiber_find_trail(L, ended_with), NULL, ended_with);
  lua_error(L);
  __builtin_unreachable();
}

static int timeout_ended(lua_State *L, int status, lua_KContext context) {
  struct scope *scope = lua_touserdata(L, 1);
  bool failed = status != LUA_OK && status != LUA_YIELD;
  bool expired = scope_is_expired(scope);
  lua_Number seconds = (lua_Number)context / (lua_Number)NS_PER_SECOND;
  scope_pop(scope);
  if (expired) raise_timeout(L, seconds, failed);
  if (failed) return lua_error(L);
  return lua_gettop(L) - 2;
}

int async_timeout(lua_State *L) {
  uint64_t limit_ns = options_check_seconds(L, 1);
  task_check_callable(L, 2, "async.timeout takes seconds, a function and its arguments");
  int nargs = lua_gettop(L) - 2;
  struct fiber *fiber = fiber_running(L);
  if (!fiber) return luaL_error(L, "async.timeout outside of a task");
  struct scope *scope = push_scope(L);
  lua_replace(L, 1);
  lua_toclose(L, 1);
  lua_pushcfunction(L, fiber_save_trail);
  lua_insert(L, 2);
  scope_push(fiber, scope, timers_now(fiber->timers) + limit_ns, false);
  lua_KContext context = (lua_KContext)limit_ns;
  return timeout_ended(L, lua_pcallk(L, nargs, LUA_MULTRET, 2, context, timeout_ended), context);
}

/* ---- shield; the same stack ---- */

static int shield_ended(lua_State *L, int status, lua_KContext context) {
  (void)context;
  scope_pop(lua_touserdata(L, 1));
  if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
  return lua_gettop(L) - 2;
}

static int shield(lua_State *L) {
  task_check_callable(L, 1, "async.shield takes a function and its arguments");
  int nargs = lua_gettop(L) - 1;
  struct fiber *fiber = fiber_running(L);
  if (!fiber) return luaL_error(L, "async.shield outside of a task");
  struct scope *scope = push_scope(L);
  lua_insert(L, 1);
  lua_toclose(L, 1);
  lua_pushcfunction(L, fiber_save_trail);
  lua_insert(L, 2);
  scope_push(fiber, scope, 0, true);
  return shield_ended(L, lua_pcallk(L, nargs, LUA_MULTRET, 2, 0, shield_ended), 0);
}

int async_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"sleep", sleep_for},       {"now", now},
                                       {"checkpoint", checkpoint}, {"spawn", spawn},
                                       {"timeout", async_timeout}, {"gather", gather},
                                       {"settle", gather_settled}, {"race", gather_first_ended},
                                       {"any", gather_first_done}, {"map", map},
                                       {"group", group},           {"shield", shield},
                                       {"running", running},       {NULL, NULL}};
  children_open(L);
  group_open(L);
  luaL_newmetatable(L, SCOPE_CLASS);
  lua_pushcfunction(L, release_scope);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, release_scope);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  semaphore_open(L);
  mutex_open(L);
  event_open(L);
  channel_open(L);
  run_blocking_open(L);
  return 1;
}
