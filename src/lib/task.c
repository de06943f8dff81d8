/* task.c - the life of a task: made, started, ended.
 *
 * A task waits as a fiber that has not started. A task of a blocking function carries the box of
 * its call (core/call.h): its arguments are copied when it is scheduled. */
#include "lib/task.h"

#include "base/settings.h"
#include "core/call.h"
#include "core/class.h"
#include "core/context.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/function_name.h"
#include "core/instance.h"
#include "core/place.h"
#include "core/worker.h"
#include "lib/attempt.h"
#include "lib/schedule.h"
#include "lib/task_group.h"
#include "lib/task_options.h"
#include "lib/task_registry.h"
#include "lib/task_report.h"
#include "lib/task_response.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

const char *task_status_name(enum task_status status) {
  static const char *const names[] = {"waiting", "running", "done", "failed", "cancelled"};
  return names[status];
}

/* Behind the arguments of a task that has either. */
enum { OPTIONS = 1, CALL_COPY, EXTRA_VALUES = CALL_COPY };

struct task *task_at(lua_State *L, int index) {
  const char *class = class_name(L, index);
  return class && strcmp(class, CLASS_TASK) == 0 ? lua_touserdata(L, index) : NULL;
}

const struct task_options *task_push_options(lua_State *L, int index) {
  const struct task *task = lua_touserdata(L, index);
  if (task->has_options)
    lua_getiuservalue(L, index, TASK_VALUE_COUNT + task->nargs + OPTIONS);
  else
    lua_pushnil(L);
  return lua_touserdata(L, -1);
}

const char *task_push_traceback(lua_State *L, int index) {
  if (lua_getiuservalue(L, index, TASK_VALUE_TRACE) == LUA_TSTRING) return lua_tostring(L, -1);
  lua_pop(L, 1);
  lua_pushnil(L);
  return NULL;
}

/* The name given, else that of the function. */
void task_push_name(lua_State *L, int index) {
  int top = lua_gettop(L);
  bool has_name = task_push_options(L, index) &&
                  task_options_push_field(L, lua_gettop(L), "name") == LUA_TSTRING;
  if (!has_name) {
    lua_getiuservalue(L, index, TASK_VALUE_FUNCTION);
    if (lua_isfunction(L, -1))
      function_name_push(L, -1);
    else
      lua_pushstring(L, luaL_typename(L, -1));
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/* ---- the fiber's side: its coroutine keeps the task ---- */

/* A coroutine that has not ended is work that nobody would do. */
static void check_results(lua_State *L, int first) {
  lua_State *co = lua_tothread(L, first);
  bool is_new = co && lua_status(co) == LUA_OK && lua_gettop(co) > 0;
  if (co && (is_new || lua_status(co) == LUA_YIELD))
    luaL_error(L, "the function of the task returned a coroutine that nobody would run: schedule "
                  "its function, or run it to its end");
}

/* Stack: the task, its results. */
static int keep_results(lua_State *L) {
  int count = lua_gettop(L) - 1;
  const struct task *task = lua_touserdata(L, 1);
  if (task->scheduled) check_results(L, 2);
  lua_createtable(L, count, 1);
  lua_insert(L, 2);
  for (int i = count; i >= 1; i--) lua_rawseti(L, 2, i);
  lua_pushinteger(L, count);
  lua_setfield(L, 2, "n");
  lua_setiuservalue(L, 1, TASK_VALUE_RESULT);
  return 0;
}

int task_run_box(lua_State *L) {
  call_submit(L, 1);
  return call_await(L, 1);
}

/* The error is on top of the stack (popped), the task at 1. */
static void keep_error(lua_State *L, struct task *task) {
  lua_setiuservalue(L, 1, TASK_VALUE_RESULT);
  task->has_error = true;
}

/* Pushes why a task does not run. */
static void push_reason(lua_State *L, const struct task *task) {
  if (!task->dropped)
    fiber_push_cancelled(L, scope_find_cancelled(fiber_running(L)));
  else if (task->outcome == TASK_OUTCOME_FAILURE)
    error_push(L, "cancelled", "cancelled: its handler did not fail");
  else
    error_push(L, "cancelled", "cancelled: its handler failed before the task was due");
}

/* Runs in place of what is not to run any more. Stack: the task, what it would have run. */
static int skip(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  if (task->has_box) call_drop(L, 2);
  push_reason(L, task);
  if (UNLIKELY(instance_end_of(worker_of(L), fiber_running(L))->closed) && !task->dropped)
    task_report_stopped(L, NULL);
  if (task->has_on_cancel) return lua_error(L);
  keep_error(L, task);
  return 0;
}

static lua_CFunction begin(struct fiber *fiber) {
  struct task *task = fiber->data;
  bool is_off = task->dropped || fiber->cancelled;
  task->has_begun = true;
  if (is_off) {
    task->status = TASK_CANCELLED;
    return skip;
  }
  if (task->has_options || task->has_event) return attempt_run;
  task->status = TASK_RUNNING;
  task->attempt = 1;
  return NULL;
}

const char *task_push_maker(lua_State *L, int index) {
  const struct task *task = task_at(L, index);
  lua_Debug maker;
  switch (lua_getiuservalue(L, index, TASK_VALUE_TRACE)) {
  case LUA_TFUNCTION:
    lua_getinfo(L, ">S", &maker);
    return lua_pushfstring(L, "%s:%d", maker.short_src, task->line);
  case LUA_TTABLE: /* task_set_maker */
    lua_rawgeti(L, -1, 1);
    return lua_tostring(L, -1);
  default:
    return NULL;
  }
}

/* Pushes the traceback of the error that ended the task at 1, joined with the line that made it. */
static const char *push_traceback(lua_State *L, const struct task *task, const char *traceback) {
  if (!task_push_maker(L, 1)) return lua_pushstring(L, traceback);
  return lua_pushfstring(L, "%s\n%s at:\n\t%s", traceback,
                         task->scheduled ? "scheduled" : "spawned", lua_tostring(L, -1));
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
    lua_setiuservalue(L, 1, TASK_VALUE_TRACE);
  }
  task->status = error_is(L, 2, "cancelled") ? TASK_CANCELLED : TASK_FAILED;
  task->is_joined = fiber_is_joined(L, 2);
  task_response_keep(L, 1);
  if (UNLIKELY(instance_end_of(fiber->worker, fiber)->closed) && task->status == TASK_CANCELLED)
    task_report_stopped(L, fiber->traceback);
  if (task_has_errors(task)) {
    task_group_keep_failed(L, 1);
    if (!is_awaited(task)) task_report_failure(L, 2, traceback);
  }
  lua_settop(L, 2);
  return task_report_handle(L);
}

/* The fiber has ended: whoever waits for the task goes on. */
static void ended(struct fiber *fiber) {
  struct task *task = fiber->data;
  task->fiber = NULL;
  if (task->status == TASK_WAITING) task->status = TASK_CANCELLED;
  if (task->status == TASK_RUNNING) task->status = fiber->succeeded ? TASK_DONE : TASK_FAILED;
  fiber->worker->tasks.unfinished--;
  if (task->shielded) fiber->worker->tasks.shielded--;
  if (task->scheduled) task_report_end(fiber, task);
  if (task->agenda && fiber->succeeded) task_response_keep_done(fiber->co, task);
  fiber_wake_all(&task->waiting);
  task_group_tell(task);
  schedule_agenda_leave(task->agenda);
  task->agenda = NULL;
  if (task->id != 0) task_registry_end(fiber->worker->L, task->id);
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
    luaL_error(L, "%s; the function is a %s: give both apart, as in (send, id)", what,
               luaL_typename(L, index));
}

enum { MAKER_LEVELS_MAX = 4 };

/* Notes the line of Lua that makes the task on top of the stack. */
static void note_maker(lua_State *L, struct task *task) {
  lua_Debug debug;
  for (int level = 1; level <= MAKER_LEVELS_MAX && lua_getstack(L, level, &debug); level++) {
    lua_getinfo(L, "lf", &debug);
    if (debug.currentline > 0) {
      task->line = debug.currentline;
      lua_setiuservalue(L, -2, TASK_VALUE_TRACE);
      return;
    }
    lua_pop(L, 1);
  }
}

void task_set_maker(lua_State *L, int index, const char *maker) {
  index = lua_absindex(L, index);
  lua_createtable(L, 1, 0);
  lua_pushstring(L, maker);
  lua_rawseti(L, -2, 1);
  lua_setiuservalue(L, index, TASK_VALUE_TRACE);
}

void task_open(lua_State *L) {
  class_register(L, CLASS_TASK);
  worker_of(L)->tasks.metatable = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void take_options(struct task *task, const struct task_options *options) {
  task->outcome = options->outcome & 3u;
  task->has_on_cancel = options->has_on_cancel;
  task->shielded = options->shield;
}

struct task *task_push(lua_State *L, int nargs, int options, int copy) {
  int function = lua_gettop(L) - nargs, extras = TASK_VALUE_COUNT + nargs;
  bool has_extras = options || copy;
  struct task *task = lua_newuserdatauv(L, sizeof *task, extras + (has_extras ? EXTRA_VALUES : 0));
  *task = (struct task){.nargs = nargs, .has_options = options != 0, .has_copy = copy != 0};
  list_init(&task->waiting);
  list_init(&task->groups);
  lua_rawgeti(L, LUA_REGISTRYINDEX, worker_of(L)->tasks.metatable);
  lua_setmetatable(L, -2);
  for (int i = 0; i <= nargs; i++) {
    lua_pushvalue(L, function + i);
    lua_setiuservalue(L, -2, i == 0 ? TASK_VALUE_FUNCTION : TASK_VALUE_COUNT + i);
  }
  if (options) {
    lua_pushvalue(L, options);
    lua_setiuservalue(L, -2, extras + OPTIONS);
    take_options(task, lua_touserdata(L, options));
  }
  if (copy) {
    lua_pushvalue(L, copy);
    lua_setiuservalue(L, -2, extras + CALL_COPY);
  }
  lua_replace(L, function);
  lua_settop(L, function);
  note_maker(L, task);
  return task;
}

int task_push_function(lua_State *L, int index) {
  const struct task *task = lua_touserdata(L, index);
  luaL_checkstack(L, task->nargs + 1, "too many arguments");
  for (int i = 0; i <= task->nargs; i++)
    lua_getiuservalue(L, index, i == 0 ? TASK_VALUE_FUNCTION : TASK_VALUE_COUNT + i);
  return task->nargs;
}

void task_push_call(lua_State *L, int index) {
  const struct task *task = lua_touserdata(L, index);
  if (!task->has_copy) {
    int nargs = task_push_function(L, index);
    call_prepare(L, place_of(L, -(nargs + 1)), nargs, TASK_POOL);
  } else {
    lua_getiuservalue(L, index, TASK_VALUE_COUNT + task->nargs + CALL_COPY);
    call_copy(L, -1);
  }
  lua_remove(L, -2);
}

static const struct fiber_kind plain = {
    .failed = failed, .returned = keep_results, .begin = begin, .ended = ended, .kept = 1};
static const struct fiber_kind blocking = {task_run_box,   failed,         .returned = keep_results,
                                           .begin = begin, .ended = ended, .kept = 1};

struct task *task_of(const struct fiber *fiber) {
  return fiber->kind == &plain || fiber->kind == &blocking ? fiber->data : NULL;
}

/* A fiber that has not started has its values on top; one that has keeps the task at the bottom of
 * its coroutine's first function. */
bool task_push_of(lua_State *L, struct fiber *fiber) {
  const struct task *task = task_of(fiber);
  lua_Debug debug, first;
  if (!task) return false;
  if (!task->has_begun) {
    lua_pushvalue(fiber->co, task->has_box ? -2 : -(task->nargs + 2));
  } else {
    for (int level = 0; lua_getstack(fiber->co, level, &debug); level++) first = debug;
    lua_getlocal(fiber->co, &first, 1);
  }
  lua_xmove(fiber->co, L, 1);
  return true;
}

/* Stack: the task on top, which keeps what its fiber is called. */
static void name_fiber(lua_State *L, struct fiber *fiber, const struct task *task) {
  const char *given = NULL;
  if (task->has_options) {
    given = task_push_options(L, -1)->name;
    lua_pop(L, 1);
  }
  fiber->name = given ? given : "task";
  fiber->is_generic = !given;
}

/* Stack: the task on top. */
void task_make_fiber(lua_State *L, int box) {
  struct task *task = lua_touserdata(L, -1);
  int count = box ? 2 : task->nargs + 2;
  luaL_checkstack(L, count, "too many arguments");
  int context = context_share(L);
  struct fiber *fiber = fiber_create(worker_of(L), box ? &blocking : &plain);
  if (!fiber) {
    context_unshare(L, context);
    luaL_error(L, "not enough memory");
  }
  context_give(fiber, context);
  if (!lua_checkstack(fiber->co, count)) {
    fiber_discard(fiber);
    luaL_error(L, "too many arguments");
  }
  fiber->data = task;
  name_fiber(L, fiber, task);
  fiber->worker->tasks.unfinished++;
  if (task->shielded) fiber->worker->tasks.shielded++;
  task->fiber = fiber;
  if (task->scheduled) fiber->under = fiber, fiber->under_life = fiber->life;
  task->has_box = box != 0;
  lua_pushvalue(L, -1);
  if (box) {
    lua_pushvalue(L, box);
  } else {
    for (int i = 0; i <= task->nargs; i++)
      lua_getiuservalue(L, -(i + 1), i == 0 ? TASK_VALUE_FUNCTION : TASK_VALUE_COUNT + i);
  }
  lua_xmove(L, fiber->co, count);
}

void task_start(struct task *task) {
  fiber_start(task->fiber, task->has_box ? 1 : task->nargs);
}

void task_check_room(lua_State *L) {
  struct worker *worker = worker_of(L);
  if (UNLIKELY(worker->tasks.unfinished >= worker->process->settings->tasks_max))
    task_report_full(L);
}

struct task *task_spawn(lua_State *L, int nargs) {
  task_check_room(L);
  struct task *task = task_push(L, nargs, 0, 0);
  task_make_fiber(L, 0);
  schedule_join_parent(task);
  task_start(task);
  return task;
}

void task_cancel(struct task *task, const char *reason) {
  if (!task->fiber) return;
  fiber_cancel(task->fiber, reason);
  if (task->waits) schedule_start(task);
}

/* ---- how it ended ---- */

void task_push_error(lua_State *L, int index) {
  struct task *task = task_at(L, index);
  task->was_read = true;
  if (task->has_error)
    lua_getiuservalue(L, index, TASK_VALUE_RESULT);
  else if (task->status == TASK_CANCELLED)
    error_push(L, "cancelled", "the task was cancelled before it started");
  else
    lua_pushliteral(L, "not enough memory");
}

static NO_RETURN void raise_error(lua_State *L, int index) {
  task_push_error(L, index);
  fiber_set_trail(L, -2, task_push_traceback(L, index));
  fiber_set_joined(L, task_at(L, index)->is_joined);
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

void task_check_root_wait(lua_State *L, const struct task *task, const struct fiber *waiter) {
  if (task->waits && task->agenda->handler == waiter)
    luaL_error(L, "this wait would never end: the task starts after its handler has");
}

void task_check_wait(lua_State *L, const struct task *task) {
  const struct fiber *fiber = fiber_running(L);
  if (!task->fiber) return;
  if (task->fiber == fiber) luaL_error(L, "a task cannot wait for itself");
  task_check_root_wait(L, task, fiber);
}
