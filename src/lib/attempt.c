/* attempt.c - delay, attempts, and the decision whether there is a further one.
 *
 * The stack of the fiber's body holds the task and the box of the first call; what an attempt
 * pushes is gone before the next. The last attempt runs unprotected: its error is that of the task.
 */
#include "lib/attempt.h"

#include "base/log.h"
#include "core/call.h"
#include "core/fiber.h"
#include "core/worker.h"
#include "lib/async.h"
#include "lib/req.h"
#include "lib/task.h"
#include "lib/task_handle.h"
#include "lib/task_options.h"
#include "lib/task_report.h"

#include <lauxlib.h>
#include <string.h>

enum { AT_TASK = 1, AT_BOX, AT_OPTIONS, AT_REST = AT_OPTIONS };

static int start(lua_State *L);

static struct task *task_here(lua_State *L) {
  return lua_touserdata(L, AT_TASK);
}

static const struct task_options *options_here(lua_State *L) {
  return lua_touserdata(L, AT_OPTIONS);
}

/* ---- waits ---- */

static int waited(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return start(L);
}

static lua_nret wait_until_start(lua_State *L, const char *what, uint64_t wait_ns) {
  lua_settop(L, AT_REST);
  struct fiber *fiber = fiber_begin_wait(L, what);
  return fiber_park_until(L, fiber, what, timers_now(fiber->timers) + wait_ns, 0, waited);
}

/* Stack: ..., the error at AT_REST + 1. */
static lua_nret start_again(lua_State *L) {
  const struct task_options *options = options_here(L);
  lua_Number wait_s = backoff_wait(&options->backoff, fiber_running(L), task_here(L)->attempt);
  task_report_retry(L, AT_REST + 1, wait_s);
  return wait_until_start(L, "the next attempt of a task",
                          (uint64_t)(wait_s * (lua_Number)NS_PER_SECOND));
}

/* ---- after a failed attempt; stack: ..., the error at AT_REST + 1, its traceback ---- */

static NO_RETURN void raise_again(lua_State *L, bool is_joined) {
  lua_settop(L, AT_REST + 2);
  fiber_set_trail(L, AT_REST + 1, lua_tostring(L, AT_REST + 2));
  fiber_set_joined(L, is_joined);
  lua_settop(L, AT_REST + 1);
  lua_error(L);
  __builtin_unreachable();
}

static int asked(lua_State *L, int status, lua_KContext is_joined) {
  bool is_ok = status == LUA_OK || status == LUA_YIELD;
  if (is_ok && lua_toboolean(L, -1)) return start_again(L);
  if (!is_ok) task_report_handler_failure(L, "retry_on", lua_gettop(L), AT_REST + 1);
  raise_again(L, is_joined != 0);
}

/* Whether the list on top of the stack names the kind of the error. */
static bool is_listed(lua_State *L) {
  const char *kind = task_options_kind(L, AT_REST + 1);
  bool is_found = false;
  for (lua_Integer i = 1; kind && !is_found && lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
    is_found = strcmp(lua_tostring(L, -1), kind) == 0;
    lua_pop(L, 1);
  }
  return is_found;
}

static lua_nret decide(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  bool is_joined = fiber_is_joined(L, AT_REST + 1);
  lua_pushstring(L, fiber_find_trail(L, AT_REST + 1));
  const char *kind = task_options_kind(L, AT_REST + 1);
  bool is_cancelled = fiber->cancelled || (kind && strcmp(kind, "cancelled") == 0);
  if (is_cancelled) raise_again(L, is_joined);
  int type = task_options_push_field(L, AT_OPTIONS, "retry_on");
  if (type == LUA_TNIL) return start_again(L);
  if (task_is_callable(L, -1)) {
    lua_pushvalue(L, AT_REST + 1);
    return asked(L, lua_pcallk(L, 1, 1, 0, is_joined, asked), is_joined);
  }
  if (is_listed(L)) return start_again(L);
  raise_again(L, is_joined);
}

/* ---- an attempt ---- */

/* Stack: ..., results. */
static int succeeded(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L) - AT_REST;
}

/* Stack: ..., the message handler, results or the error. */
static int ended(lua_State *L, int status, lua_KContext context) {
  (void)context;
  lua_remove(L, AT_REST + 1);
  if (status == LUA_OK || status == LUA_YIELD) return succeeded(L, status, 0);
  lua_settop(L, AT_REST + 1);
  return decide(L);
}

/* Pushes what is called in an attempt, and its arguments; gives their number. */
static int push_body(lua_State *L, const struct task_options *options) {
  const struct task *task = task_here(L);
  int before = lua_gettop(L);
  if (options && options->timeout_s > 0) {
    lua_pushcfunction(L, async_timeout);
    lua_pushnumber(L, options->timeout_s);
  }
  if (!task->has_box) {
    task_push_function(L, AT_TASK);
  } else {
    lua_pushcfunction(L, task_run_box);
    if (task->attempt == 1)
      lua_pushvalue(L, AT_BOX);
    else
      task_push_call(L, AT_TASK);
    lua_pushnil(L);
    lua_replace(L, AT_BOX);
  }
  return lua_gettop(L) - before - 1;
}

static int start(lua_State *L) {
  struct task *task = task_here(L);
  const struct task_options *options = options_here(L);
  fiber_drop_trail(task->fiber);
  if (task->attempt++ == 0) {
    task->status = TASK_RUNNING;
    task_handle_tell_started(L, AT_TASK);
  }
  if (!options || task->attempt > options->retries) {
    lua_callk(L, push_body(L, options), LUA_MULTRET, 0, succeeded);
    return succeeded(L, LUA_OK, 0);
  }
  lua_pushcfunction(L, fiber_save_trail);
  int nargs = push_body(L, options);
  return ended(L, lua_pcallk(L, nargs, LUA_MULTRET, AT_REST + 1, 0, ended), 0);
}

int attempt_run(lua_State *L) {
  struct task *task = task_here(L);
  if (task->has_box)
    lua_settop(L, AT_BOX);
  else
    lua_settop(L, AT_TASK), lua_pushnil(L);
  const struct task_options *options = task_push_options(L, AT_TASK);
  if (options && options->delay_ns > 0)
    return wait_until_start(L, "the delay of a task", options->delay_ns);
  return start(L);
}
