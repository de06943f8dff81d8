/* task_handle.c - the methods and fields of a task.
 *
 * Fields are made when asked for, of what task.c has left in the user values. */
#include "lib/task_handle.h"

#include "core/call.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/place.h"
#include "core/worker.h"
#include "lib/event.h"
#include "lib/options.h"
#include "lib/req.h"
#include "lib/schedule.h"
#include "lib/task.h"
#include "lib/task_options.h"
#include "lib/task_registry.h"
#include "lib/task_response.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Registry key: a table with weak keys, from a task to the table of its extras. */
static const char extras_key = 0;

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

/* ---- extras ---- */

void task_handle_push_extra(lua_State *L, int index, const char *name) {
  index = lua_absindex(L, index);
  int top = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &extras_key);
  lua_pushvalue(L, index);
  if (lua_rawget(L, -2) == LUA_TTABLE) lua_getfield(L, -1, name);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

void task_handle_set_extra(lua_State *L, int index, const char *name) {
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &extras_key);
  lua_pushvalue(L, index);
  if (lua_rawget(L, -2) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, index);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, name);
  lua_pop(L, 3);
}

/* ---- started ---- */

#define STARTED "started"

void task_handle_tell_started(lua_State *L, int index) {
  const struct task *task = lua_touserdata(L, index);
  if (!task->has_event) return;
  task_handle_push_extra(L, index, STARTED);
  event_set(L, -1);
  lua_pop(L, 1);
}

static void push_started(lua_State *L, struct task *task) {
  task_handle_push_extra(L, 1, STARTED);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  event_push(L);
  if (task->attempt > 0)
    event_set(L, -1);
  else
    task->has_event = true;
  lua_pushvalue(L, -1);
  task_handle_set_extra(L, 1, STARTED);
}

/* ---- call ---- */

static int called(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L) - 1;
}

/* call(self) -> the results of its function, called once more */
int task_handle_call(lua_State *L) {
  check_task(L, "call");
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, TASK_VALUE_FUNCTION);
  struct place *place = place_of(L, -1);
  bool is_blocking = place && !call_runs_here(worker_of(L), place);
  lua_pop(L, 1);
  int nargs = 1;
  if (is_blocking) {
    lua_pushcfunction(L, task_run_box);
    task_push_call(L, 1);
  } else {
    nargs = task_push_function(L, 1);
  }
  lua_callk(L, nargs, LUA_MULTRET, 0, called);
  return called(L, LUA_OK, 0);
}

/* ---- fields ---- */

static void push_args(lua_State *L, struct task *task) {
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

static void push_config(lua_State *L, struct task *task) {
  (void)task;
  if (task_push_options(L, 1))
    task_options_push_copy(L, lua_gettop(L));
  else
    lua_newtable(L);
}

static void push_status(lua_State *L, struct task *task) {
  lua_pushstring(L, task_status_name(task->status));
}

static void push_name(lua_State *L, struct task *task) {
  (void)task;
  task_push_name(L, 1);
}

static void push_id(lua_State *L, struct task *task) {
  (void)task;
  task_handle_push_id(L, worker_of(L)->number, task_handle_id(L, 1));
}

static void push_function(lua_State *L, struct task *task) {
  (void)task;
  lua_getiuservalue(L, 1, TASK_VALUE_FUNCTION);
}

static void push_late(lua_State *L, struct task *task) {
  lua_pushboolean(L, task->late);
}

static void push_attempt(lua_State *L, struct task *task) {
  lua_pushinteger(L, task->attempt);
}

static void push_traceback(lua_State *L, struct task *task) {
  (void)task;
  task_push_traceback(L, 1);
}

static void push_results(lua_State *L, struct task *task) {
  lua_pushnil(L);
  if (task->status == TASK_DONE) lua_getiuservalue(L, 1, TASK_VALUE_RESULT);
}

static void push_error(lua_State *L, struct task *task) {
  lua_pushnil(L);
  task->was_read = task->status == TASK_FAILED;
  if (task->status != TASK_DONE) lua_getiuservalue(L, 1, TASK_VALUE_RESULT);
}

static void push_response(lua_State *L, struct task *task) {
  (void)task;
  task_response_push(L, 1);
}

static void push_progress(lua_State *L, struct task *task) {
  (void)task;
  task_handle_push_extra(L, 1, "progress");
}

static const struct field {
  const char *name;
  void (*push)(lua_State *L, struct task *task); /* of the task at 1 */
} fields[] = {
    {"status", push_status},   {"name", push_name},         {"id", push_id},
    {"fn", push_function},     {"args", push_args},         {"late", push_late},
    {"results", push_results}, {"error", push_error},       {"traceback", push_traceback},
    {"attempt", push_attempt}, {"config", push_config},     {"progress", push_progress},
    {STARTED, push_started},   {"response", push_response},
};

static int index_task(lua_State *L) {
  struct task *task = check_self(L);
  const char *key = luaL_checkstring(L, 2);
  for (size_t i = 0; i < array_len(fields); i++) {
    if (strcmp(key, fields[i].name) != 0) continue;
    fields[i].push(L, task);
    return 1;
  }
  return luaL_getmetafield(L, 1, key) == LUA_TNIL ? 0 : 1;
}

/* Anybody who has the task may tell of its progress; all else is the server's. */
static int set_field(lua_State *L) {
  check_self(L);
  const char *key = luaL_tolstring(L, 2, NULL);
  if (strcmp(key, "progress") != 0)
    return luaL_error(L, "a task has no field \"%s\" that can be set: only progress", key);
  lua_pushvalue(L, 3);
  task_handle_set_extra(L, 1, "progress");
  return 0;
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
                                       {"call", task_handle_call},
                                       {"__index", index_task},
                                       {"__newindex", set_field},
                                       {"__tostring", describe},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  task_open(L);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &extras_key);
}
