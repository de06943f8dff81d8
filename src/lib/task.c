/* task.c - the life of a task: made, started, ended; its handle in Lua.
 *
 * A task waits as a fiber that has not started. A task of a blocking function carries the box of
 * its call (core/call.h): its arguments are copied when it is scheduled. */
#include "lib/task.h"

#include "base/log.h"
#include "core/call.h"
#include "core/class.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "lib/function_name.h"
#include "lib/options.h"
#include "lib/req.h"
#include "lib/schedule.h"
#include "lib/task_group.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char *const status_names[] = {"waiting", "running", "done", "failed", "cancelled"};

struct task *task_at(lua_State *L, int index) {
  const char *class = class_name(L, index);
  return class && strcmp(class, CLASS_TASK) == 0 ? lua_touserdata(L, index) : NULL;
}

/* The name given, else that of the function; the task is at 1. */
static void push_task_name(lua_State *L) {
  if (lua_getiuservalue(L, 1, TASK_VALUE_OPTIONS) == LUA_TTABLE &&
      lua_getfield(L, -1, "name") == LUA_TSTRING)
    return;
  lua_getiuservalue(L, 1, TASK_VALUE_FUNCTION);
  if (lua_isfunction(L, -1))
    function_name_push(L, -1);
  else
    lua_pushstring(L, luaL_typename(L, -1));
}

/* ---- the fiber's side; stack: the task, and the call's box when the function is blocking ---- */

static void log_failure(lua_State *L, const char *message, int error, const char *traceback) {
  struct worker *worker = worker_of(L);
  char request[17];
  push_task_name(L);
  const char *name = lua_tostring(L, -1);
  req_format_id(request, worker->running->request);
  const struct log_field fields[] = {
      log_text("task", name),
      log_integer("attempt", 1),
      log_text("request", request),
      log_text("error", error_push_text(L, error)),
      log_text("traceback", traceback ? traceback : ""),
  };
  log_write(worker->process->log, LOG_ERROR, message, fields, array_len(fields));
}

static int keep_results(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct task *task = lua_touserdata(L, 1);
  int first = 2;
  int count = lua_gettop(L) - 1;
  task->status = TASK_DONE;
  if (count == 0) return 0;
  lua_createtable(L, count, 1);
  for (int i = 0; i < count; i++) {
    lua_pushvalue(L, first + i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
  lua_setiuservalue(L, 1, TASK_VALUE_RESULT);
  return 0;
}

/* Called like a function, so that its continuation is its own: awaits the box at 1. */
static int await_box(lua_State *L) {
  call_submit(L, 1);
  return call_await(L, 1);
}

/* The error is on top of the stack (popped), the task at 1. */
static void keep_error(lua_State *L, struct task *task) {
  lua_setiuservalue(L, 1, TASK_VALUE_RESULT);
  task->has_error = true;
}

static int end_unstarted(lua_State *L, struct task *task) {
  task->status = TASK_CANCELLED;
  if (task->has_box) call_drop(L, 2);
  if (task->dropped)
    error_push(L, "cancelled", "cancelled: its handler failed before the task was due");
  else
    fiber_push_cancelled(L, scope_find_cancelled(fiber_running(L)));
  keep_error(L, task);
  return 0;
}

static int run(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  if (UNLIKELY(task->dropped || worker_of(L)->running->cancelled)) return end_unstarted(L, task);
  task->status = TASK_RUNNING;
  if (task->has_box) {
    lua_pushcfunction(L, await_box);
    lua_insert(L, 2);
    lua_callk(L, 1, LUA_MULTRET, 0, keep_results);
    return keep_results(L, LUA_OK, 0);
  }
  luaL_checkstack(L, task->nargs + 1, "too many arguments");
  lua_getiuservalue(L, 1, TASK_VALUE_FUNCTION);
  for (int i = 1; i <= task->nargs; i++) lua_getiuservalue(L, 1, TASK_VALUE_COUNT + i);
  lua_callk(L, task->nargs, LUA_MULTRET, 0, keep_results);
  return keep_results(L, LUA_OK, 0);
}

static int handled(lua_State *L, int status, lua_KContext context) {
  (void)context;
  if (status == LUA_OK || status == LUA_YIELD) return 0;
  log_failure(L, "on_error of a task failed", lua_gettop(L), NULL);
  return 0;
}

/* Pushes the traceback of the error that ended the task at 1, joined with the line that made it. */
static const char *push_traceback(lua_State *L, const struct task *task, const char *traceback) {
  lua_Debug maker;
  if (lua_getiuservalue(L, 1, TASK_VALUE_MAKER) != LUA_TFUNCTION)
    return lua_pushstring(L, traceback);
  lua_getinfo(L, ">S", &maker);
  return lua_pushfstring(L, "%s\n%s at:\n\t%s:%d", traceback,
                         task->scheduled ? "scheduled" : "spawned", maker.short_src, task->line);
}

/* Whether somebody gets the error of the task; what is scheduled has its on_error in any case. */
static bool is_awaited(const struct task *task) {
  if (task->scheduled) return false;
  return !list_is_empty(&task->waiting) || task_group_wants_error(task);
}

/* Stack: the task (kept by its fiber), the error. */
static int failed(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  struct task *task = lua_touserdata(L, 1);
  const char *traceback = NULL;
  lua_pushvalue(L, 2);
  keep_error(L, task);
  if (fiber->traceback) {
    traceback = push_traceback(L, task, fiber->traceback);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, TASK_VALUE_TRACEBACK);
  }
  task->status = error_is(L, 2, "cancelled") ? TASK_CANCELLED : TASK_FAILED;
  task->is_joined = fiber_is_joined(L, 2);
  if (!task_has_errors(task)) return 0;
  task_group_keep_failed(L, 1);
  if (is_awaited(task)) return 0;
  if (task->status == TASK_CANCELLED) {
    log_failure(L, "errors while a task was cancelled", 2, traceback);
    return 0;
  }
  metrics_add(&worker_of(L)->metrics, METRIC_TASKS_FAILED, 1);
  log_failure(L, "task failed", 2, traceback);
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, TASK_VALUE_OPTIONS);
  if (!lua_istable(L, -1) || lua_getfield(L, -1, "on_error") != LUA_TFUNCTION) return 0;
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  return handled(L, lua_pcallk(L, 2, 0, 0, 0, handled), 0);
}

/* The fiber has ended: whoever waits for the task goes on. */
static void ended(struct fiber *fiber) {
  struct task *task = fiber->data;
  task->fiber = NULL;
  if (task->status == TASK_WAITING) task->status = TASK_CANCELLED;
  if (task->status == TASK_RUNNING) task->status = TASK_FAILED;
  fiber_wake_all(&task->waiting);
  task_group_tell(task);
  schedule_agenda_leave(task->owner);
  task->owner = NULL;
}

/* ---- making one ---- */

bool task_is_callable(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return true;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

void task_check_callable(lua_State *L, int index, const char *what) {
  if (!task_is_callable(L, index))
    luaL_error(L, "%s; the function is a %s", what, luaL_typename(L, index));
}

enum { MAKER_LEVELS_MAX = 4 };

/* Notes the line of Lua that makes the task on top of the stack. */
static void note_maker(lua_State *L, struct task *task) {
  lua_Debug debug;
  for (int level = 1; level <= MAKER_LEVELS_MAX && lua_getstack(L, level, &debug); level++) {
    lua_getinfo(L, "l", &debug);
    if (debug.currentline <= 0) continue;
    task->line = debug.currentline;
    lua_getinfo(L, "f", &debug);
    lua_setiuservalue(L, -2, TASK_VALUE_MAKER);
    return;
  }
}

struct task *task_push(lua_State *L, int nargs) {
  int function = lua_gettop(L) - nargs;
  struct task *task = lua_newuserdatauv(L, sizeof *task, TASK_VALUE_COUNT + nargs);
  *task = (struct task){.nargs = nargs};
  list_init(&task->link);
  list_init(&task->waiting);
  list_init(&task->groups);
  class_push(L, CLASS_TASK);
  lua_setmetatable(L, -2);
  for (int i = 0; i <= nargs; i++) {
    lua_pushvalue(L, function + i);
    lua_setiuservalue(L, -2, i == 0 ? TASK_VALUE_FUNCTION : TASK_VALUE_COUNT + i);
  }
  lua_replace(L, function);
  lua_settop(L, function);
  note_maker(L, task);
  return task;
}

void task_make_fiber(lua_State *L, int box) {
  struct task *task = lua_touserdata(L, -1);
  struct fiber *fiber = fiber_create(worker_of(L), run);
  if (!fiber) luaL_error(L, "not enough memory");
  fiber->failed = failed;
  fiber->ended = ended;
  fiber->data = task;
  fiber->name = "task";
  fiber->kept = 1;
  task->fiber = fiber;
  lua_pushvalue(L, -1);
  lua_pushvalue(L, -2);
  lua_xmove(L, fiber->co, 2);
  if (box) {
    lua_pushvalue(L, box);
    lua_xmove(L, fiber->co, 1);
  }
  task->has_box = box != 0;
}

void task_start(struct task *task) {
  fiber_start(task->fiber, task->has_box ? 2 : 1);
}

struct task *task_spawn(lua_State *L, int nargs) {
  struct task *task = task_push(L, nargs);
  task_make_fiber(L, 0);
  task_start(task);
  return task;
}

void task_cancel(struct task *task, const char *reason) {
  if (!task->fiber) return;
  fiber_cancel(task->fiber, reason);
  if (task->agenda) schedule_start(task);
}

/* ---- the handle ---- */

static struct task *check_task(lua_State *L, const char *method) {
  struct task *task = task_at(L, 1);
  if (!task)
    luaL_error(L, "task.%s was called without its task: use a colon (task:%s)", method, method);
  return task;
}

void task_push_error(lua_State *L, int index) {
  const struct task *task = task_at(L, index);
  if (task->has_error)
    lua_getiuservalue(L, index, TASK_VALUE_RESULT);
  else if (task->status == TASK_CANCELLED)
    error_push(L, "cancelled", "the task was cancelled before it started");
  else
    lua_pushliteral(L, "not enough memory");
}

static NO_RETURN void raise_error(lua_State *L, int index) {
  task_push_error(L, index);
  lua_getiuservalue(L, index, TASK_VALUE_TRACEBACK);
  fiber_set_trail(L, -2, lua_tostring(L, -1));
  fiber_running(L)->trail_is_joined = task_at(L, index)->is_joined;
  lua_pop(L, 1);
  lua_error(L);
  __builtin_unreachable();
}

int task_push_results(lua_State *L, int index) {
  const struct task *task = task_at(L, index);
  index = lua_absindex(L, index);
  if (task->status != TASK_DONE) raise_error(L, index);
  if (lua_getiuservalue(L, index, TASK_VALUE_RESULT) == LUA_TNIL) return 0;
  lua_getfield(L, -1, "n");
  int count = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, count, "too many results");
  for (int i = 1; i <= count; i++) lua_rawgeti(L, -i, i);
  return count;
}

void task_check_wait(lua_State *L, const struct task *task) {
  const struct fiber *fiber = fiber_running(L);
  if (!task->fiber) return;
  if (task->fiber == fiber) luaL_error(L, "a task cannot wait for itself");
  if (task->agenda && task->agenda->handler == fiber)
    luaL_error(L, "this wait would never end: the task starts after its handler has");
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

static int wait_for_task(lua_State *L) {
  check_task(L, "wait");
  if (fiber_must_pause(L)) return fiber_pause(L, "task:wait", 0, paused);
  return begin_waiting(L);
}

static int cancel_task(lua_State *L) {
  struct task *task = check_task(L, "cancel");
  task_cancel(task, luaL_optstring(L, 2, NULL));
  return 0;
}

static void push_task_id(lua_State *L, struct task *task) {
  char id[17];
  if (task->id == 0 && getrandom(&task->id, sizeof task->id, 0) < 0)
    luaL_error(L, "no random bytes");
  req_format_id(id, task->id);
  lua_pushstring(L, id);
}

static void push_task_args(lua_State *L, const struct task *task) {
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
    lua_pushstring(L, status_names[task->status]);
  else if (strcmp(key, "name") == 0)
    push_task_name(L);
  else if (strcmp(key, "id") == 0)
    push_task_id(L, task);
  else if (strcmp(key, "fn") == 0)
    lua_getiuservalue(L, 1, TASK_VALUE_FUNCTION);
  else if (strcmp(key, "args") == 0)
    push_task_args(L, task);
  else if (strcmp(key, "late") == 0)
    lua_pushboolean(L, task->late);
  else if (strcmp(key, "traceback") == 0)
    lua_getiuservalue(L, 1, TASK_VALUE_TRACEBACK);
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
  push_task_name(L);
  lua_pushfstring(L, "task: %s (%s)", lua_tostring(L, -1), status_names[task->status]);
  return 1;
}

/* ---- crossing to another state: a table of what is known of the task ---- */

static bool encode_task(lua_State *L, int index, struct buffer *out) {
  static const char *const names[] = {"id",        "name", "status",  "error",
                                      "traceback", "args", "results", "late"};
  lua_createtable(L, 0, array_len(names));
  for (size_t i = 0; i < array_len(names); i++) {
    lua_getfield(L, index, names[i]);
    lua_setfield(L, -2, names[i]);
  }
  transfer_encode(L, lua_gettop(L), 1, "task", out);
  lua_pop(L, 1);
  return true;
}

static void decode_task(lua_State *L, const char *data, size_t len) {
  transfer_decode(L, data, len);
}

static const struct transfer_kind task_kind = {CLASS_TASK, encode_task, decode_task};

void task_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"wait", wait_for_task},
                                       {"cancel", cancel_task},
                                       {"__index", index_task},
                                       {"__tostring", describe},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  class_register(L, CLASS_TASK);
  lua_pop(L, 1);
  transfer_register(L, &task_kind);
}
