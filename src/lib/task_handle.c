/* task_handle.c - the methods and fields of a task.
 *
 * Fields are made when asked for, of what task.c has left in the user values. */
#include "lib/task_handle.h"

#include "core/error.h"
#include "core/fiber.h"
#include "core/worker.h"
#include "lib/options.h"
#include "lib/req.h"
#include "lib/schedule.h"
#include "lib/task.h"
#include "lib/task_registry.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static struct task *check_task(lua_State *L, const char *method) {
  struct task *task = task_at(L, 1);
  if (!task)
    luaL_error(L, "task.%s was called without its task: use a colon (task:%s)", method, method);
  return task;
}

static int waited(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  const struct task *task = lua_touserdata(L, 1);
  fiber_check_cancelled(L);
  if (task->fiber) error_raise(L, "timeout", "the task has not ended in time");
  return task_push_results(L, 1);
}

/* Stack: the task, the limit. */
static int begin_waiting(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  bool has_timeout = !lua_isnoneornil(L, 2);
  uint64_t timeout_ns = has_timeout ? options_check_seconds(L, 2) : 0;
  lua_settop(L, 1);
  if (!task->fiber) return task_push_results(L, 1);
  struct fiber *fiber = fiber_begin_wait(L, "task:wait");
  task_check_wait(L, task);
  if (has_timeout)
    timer_start(fiber->timers, &fiber->timer, timers_now(fiber->timers) + timeout_ns,
                fiber_wake_by_timer);
  return fiber_park_inside(L, fiber, &task->waiting, "task:wait", 0, waited);
}

static int paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return begin_waiting(L);
}

int task_handle_wait(lua_State *L) {
  check_task(L, "wait");
  if (fiber_must_pause(L)) return fiber_pause(L, "task:wait", 0, paused);
  return begin_waiting(L);
}

static int cancel_task(lua_State *L) {
  struct task *task = check_task(L, "cancel");
  task_cancel(task, luaL_optstring(L, 2, NULL));
  return 0;
}

uint64_t task_handle_random_id(lua_State *L) {
  uint64_t id = 0;
  if (getrandom(&id, sizeof id, 0) < 0) luaL_error(L, "no random bytes");
  return id == 0 ? 1 : id;
}

uint64_t task_handle_id(lua_State *L, int index) {
  struct task *task = lua_touserdata(L, index);
  if (task->id != 0) return task->id;
  task->id = task_handle_random_id(L);
  task_registry_add(L, index);
  if (!task->fiber) task_registry_end(L, task->id);
  return task->id;
}

void task_handle_push_id(lua_State *L, uint64_t worker, uint64_t id) {
  char text[40];
  req_format_id(text, id);
  snprintf(text + strlen(text), sizeof text - strlen(text), "%" PRIx64, worker);
  lua_pushstring(L, text);
}

static void push_args(lua_State *L, const struct task *task) {
  lua_createtable(L, task->nargs, 1);
  for (int i = 1; i <= task->nargs; i++) {
    lua_getiuservalue(L, 1, TASK_VALUE_COUNT + i);
    lua_rawseti(L, -2, i);
  }
  lua_pushinteger(L, task->nargs);
  lua_setfield(L, -2, "n");
}

/* For metamethods, which Lua code can call with anything. */
static struct task *check_self(lua_State *L) {
  struct task *task = task_at(L, 1);
  luaL_argexpected(L, task, 1, "task");
  return task;
}

static int index_task(lua_State *L) {
  struct task *task = check_self(L);
  const char *key = luaL_checkstring(L, 2);
  bool is_done = task->status == TASK_DONE;
  lua_pushnil(L);
  if (strcmp(key, "status") == 0)
    lua_pushstring(L, task_status_name(task->status));
  else if (strcmp(key, "name") == 0)
    task_push_name(L, 1);
  else if (strcmp(key, "id") == 0)
    task_handle_push_id(L, worker_of(L)->number, task_handle_id(L, 1));
  else if (strcmp(key, "fn") == 0)
    lua_getiuservalue(L, 1, TASK_VALUE_FUNCTION);
  else if (strcmp(key, "args") == 0)
    push_args(L, task);
  else if (strcmp(key, "late") == 0)
    lua_pushboolean(L, task->late);
  else if (strcmp(key, "traceback") == 0)
    task_push_traceback(L, 1);
  else if (strcmp(key, "results") == 0 && is_done)
    lua_getiuservalue(L, 1, TASK_VALUE_RESULT);
  else if (strcmp(key, "error") == 0 && !is_done)
    lua_getiuservalue(L, 1, TASK_VALUE_RESULT);
  else
    luaL_getmetafield(L, 1, key);
  return 1;
}

static int describe(lua_State *L) {
  const struct task *task = check_self(L);
  task_push_name(L, 1);
  lua_pushfstring(L, "task: %s (%s)", lua_tostring(L, -1), task_status_name(task->status));
  return 1;
}

void task_handle_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"wait", task_handle_wait},
                                       {"cancel", cancel_task},
                                       {"__index", index_task},
                                       {"__tostring", describe},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  task_open(L);
}
