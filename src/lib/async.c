/* async.c - sleep, now, checkpoint, spawn, timeout; others are in files of their own.
 *
 * Waits run on the clock of the running fiber, so that a virtual clock works for all of them. */
#include "lib/async.h"

#include "core/error.h"
#include "core/fiber.h"
#include "core/place.h"
#include "core/worker.h"
#include "lib/gather.h"
#include "lib/options.h"
#include "lib/run_blocking.h"
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
  struct fiber *fiber = fiber_begin_wait(L, "async.checkpoint");
  return fiber_park_until(L, fiber, "async.checkpoint", 0, 0, slept);
}

static int now(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  const struct timers *timers = fiber ? fiber->timers : &worker_of(L)->timers;
  lua_pushnumber(L, (lua_Number)timers_now(timers) / (lua_Number)NS_PER_SECOND);
  return 1;
}

static int spawn(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  if (place_is_loading(L))
    return luaL_error(L, "nothing can be spawned while the app loads: use app:on_start");
  if (!fiber_running(L)) return luaL_error(L, "async.spawn outside of a task");
  task_spawn(L, lua_gettop(L) - 1, NULL);
  return 1;
}

/* ---- timeout; stack: 1 the scope, 2 the message handler, then results or the error ---- */

static int release_scope(lua_State *L) {
  scope_pop(lua_touserdata(L, 1));
  return 0;
}

static NO_RETURN void raise_timeout(lua_State *L, lua_Number seconds, bool has_error) {
  const struct fiber *fiber = fiber_running(L);
  error_push(L, "timeout", "timeout after %f s", seconds);
  if (has_error && fiber->trail) fiber_set_trail(L, -1, fiber->trail);
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

static int timeout(lua_State *L) {
  uint64_t limit_ns = options_check_seconds(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  int nargs = lua_gettop(L) - 2;
  struct fiber *fiber = fiber_running(L);
  if (!fiber) return luaL_error(L, "async.timeout outside of a task");
  struct scope *scope = lua_newuserdatauv(L, sizeof *scope, 0);
  *scope = (struct scope){0};
  luaL_setmetatable(L, SCOPE_CLASS);
  lua_replace(L, 1);
  lua_toclose(L, 1);
  lua_pushcfunction(L, fiber_save_trail);
  lua_insert(L, 2);
  scope_push(fiber, scope, timers_now(fiber->timers) + limit_ns, false);
  lua_KContext context = (lua_KContext)limit_ns;
  return timeout_ended(L, lua_pcallk(L, nargs, LUA_MULTRET, 2, context, timeout_ended), context);
}

int async_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"sleep", sleep_for}, {"now", now},         {"checkpoint", checkpoint},
      {"spawn", spawn},     {"timeout", timeout}, {"gather", gather},
      {NULL, NULL}};
  gather_open(L);
  luaL_newmetatable(L, SCOPE_CLASS);
  lua_pushcfunction(L, release_scope);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, release_scope);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  run_blocking_open(L);
  return 1;
}
