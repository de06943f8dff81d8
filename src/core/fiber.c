/* fiber.c - the scheduler: creating, parking, waking and resuming fibers.
 *
 * The only lua_resume is in enter(). A coroutine runs trampoline() for ever: body under lua_pcallk,
 * the failed function when it ended by an error, then idle until the next fiber starts on it. */
#include "core/fiber.h"

#include "base/limits.h"
#include "core/call_run.h"
#include "core/context.h"
#include "core/error.h"
#include "core/instance.h"
#include "core/interrupt.h"
#include "core/state.h"
#include "core/stress.h"
#include "core/traceback.h"
#include "core/worker.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int trampoline(lua_State *L);

struct fiber *fiber_running(lua_State *L) {
  return worker_of(L)->running;
}

/* ---- create and start ---- */

static int new_coroutine(lua_State *L) {
  struct fiber *fiber = lua_touserdata(L, 1);
  lua_State *co = lua_newthread(L);
  fiber->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  fiber->co = co;
  lua_pushcfunction(co, trampoline);
  return 0;
}

/* Allocating is the one step that may raise; it does so inside this protected call. */
static bool give_coroutine(struct worker *worker, struct fiber *fiber) {
  lua_State *L = worker->L;
  lua_pushcfunction(L, new_coroutine);
  lua_pushlightuserdata(L, fiber);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

static struct fiber *take_idle(struct worker *worker) {
  if (list_is_empty(&worker->idle_fibers)) {
    struct fiber *fiber = memory_alloc_zero(sizeof *fiber);
    fiber->worker = worker;
    list_init(&fiber->link);
    list_init(&fiber->live);
    return fiber;
  }
  /* last idle first: its stack is warm */
  struct fiber *fiber = container_of(worker->idle_fibers.prev, struct fiber, link);
  list_remove(&fiber->link);
  if (fiber->co) worker->idle_coroutines--;
  return fiber;
}

struct fiber *fiber_create(struct worker *worker, const struct fiber_kind *kind) {
  struct fiber *fiber = take_idle(worker);
  if (!fiber->co && !give_coroutine(worker, fiber)) {
    list_push_front(&worker->idle_fibers, &fiber->link);
    return NULL;
  }
  struct fiber *parent = worker->running;
  fiber->state = FIBER_NEW;
  fiber->parked_co = fiber->co;
  fiber->created_ns = worker->now_ns;
  fiber->kind = kind;
  fiber->life++;
  fiber->data = NULL;
  fiber->succeeded = false;
  fiber->takes_offers = false;
  fiber->offered = NULL;
  fiber->name = NULL;
  fiber->is_generic = false;
  fiber->request = parent ? parent->request : 0;
  fiber->source = parent ? parent->source : NULL;
  fiber->under = parent ? parent->under : NULL;
  fiber->under_life = parent ? parent->under_life : 0;
  fiber->shielded = parent && parent->shielded;
  fiber->instance = parent ? parent->instance : NULL;
  fiber->loads = parent ? parent->loads : NULL;
  fiber->timers = parent ? parent->timers : worker->app_timers;
  if (UNLIKELY(parent && parent->run)) call_run_give(fiber, parent->run);
  fiber->interrupt_ns = HEARTBEAT_NEVER;
  list_push(&worker->fibers, &fiber->live);
  return fiber;
}

static void make_ready(struct fiber *fiber) {
  fiber->state = FIBER_READY;
  list_push(&fiber->worker->ready, &fiber->link);
}

void fiber_start(struct fiber *fiber, int nargs) {
  assert(fiber->state == FIBER_NEW);
  fiber->nargs = fiber->kind->kept + (fiber->kind->entry ? 0 : 1) + nargs;
  fiber->parked_co = fiber->co;
  make_ready(fiber);
}

/* ---- park and wake ---- */

/* Whether a C function of that name is none that is in the way: it can be suspended while it calls
 * Lua, or is a part of one that has a name. */
static bool is_passed(const char *name) {
  static const char *const names[] = {STATE_UNNAMED_FUNCTION,
                                      "'pcall'",
                                      "'xpcall'",
                                      "'require'",
                                      "'dofile'",
                                      "'perilune.async.timeout'",
                                      "'perilune.async.shield'",
                                      "'perilune.async.group'"};
  for (size_t i = 0; i < array_len(names); i++) {
    if (strcmp(name, names[i]) == 0) return true;
  }
  return false;
}

/* Raises the error that says which C function is in the way of a wait, if it is in this coroutine.
 */
static NO_RETURN void raise_cannot_wait(lua_State *L, const char *what) {
  lua_Debug debug;
  for (int level = 1; !lua_isyieldable(L) && lua_getstack(L, level, &debug); level++) {
    lua_getinfo(L, "S", &debug);
    if (*debug.what != 'C') continue;
    const char *name = state_push_function_name(L, &debug);
    if (is_passed(name)) continue;
    luaL_error(L, "%s cannot wait inside %s: collect first, then wait outside of it", what, name);
  }
  luaL_error(L,
             "%s cannot wait here: a closer run by coroutine.close, a finalizer or a C function "
             "is in between",
             what);
  abort();
}

struct fiber *fiber_begin_wait(lua_State *L, const char *what) {
  struct fiber *fiber = fiber_running(L);
  if (!fiber) luaL_error(L, "%s cannot wait outside of a task", what);
  if (!lua_isyieldable(L) || fiber->unyieldable > 0) raise_cannot_wait(L, what);
  if (UNLIKELY(fiber->interrupt_ns != HEARTBEAT_NEVER)) scope_expire_due(fiber);
  return fiber;
}

struct ticket fiber_ticket(struct fiber *fiber) {
  return (struct ticket){.fiber = fiber, .wait = fiber->wait};
}

static void begin_park(lua_State *L, struct fiber *fiber, const char *waits_for) {
  assert(fiber == fiber_running(L));
  state_set_waiting(fiber->co, true); /* coroutine.running() may have given it to Lua */
  fiber->parked_co = L;
  fiber->waits_for = waits_for;
  fiber->woken_cancelled = fiber->cancelled;
  fiber->state = FIBER_PARKED;
}

lua_nret fiber_park(lua_State *L, struct fiber *fiber, const char *waits_for, lua_KContext context,
                    lua_KFunction k) {
  begin_park(L, fiber, waits_for);
  if (fiber->cancelled) fiber_wake_cancelled(fiber);
  return lua_yieldk(L, 0, context, k);
}

void fiber_wake_by_timer(struct timer *timer) {
  struct fiber *fiber = container_of(timer, struct fiber, timer);
  fiber_wake(fiber_ticket(fiber));
}

lua_nret fiber_park_until(lua_State *L, struct fiber *fiber, const char *waits_for, uint64_t due_ns,
                          lua_KContext context, lua_KFunction k) {
  timer_start(fiber->timers, &fiber->timer, due_ns, fiber_wake_by_timer);
  return fiber_park(L, fiber, waits_for, context, k);
}

lua_nret fiber_park_in(lua_State *L, struct fiber *fiber, struct list *waiting,
                       const char *waits_for, lua_KContext context, lua_KFunction k) {
  list_push(waiting, &fiber->link);
  return fiber_park(L, fiber, waits_for, context, k);
}

lua_nret fiber_park_inside(lua_State *L, struct fiber *fiber, struct list *waiting,
                           const char *waits_for, lua_KContext context, lua_KFunction k) {
  fiber->waits_inside = true;
  return fiber_park_in(L, fiber, waiting, waits_for, context, k);
}

static void wake_in_order(struct fiber *fiber, bool cancelled) {
  fiber->wait++;
  fiber->waits_inside = false;
  fiber->woken_cancelled = cancelled;
  list_remove(&fiber->link);
  timer_stop(fiber->timers, &fiber->timer);
  make_ready(fiber);
}

static void wake(struct fiber *fiber, bool cancelled) {
  wake_in_order(fiber, cancelled);
  if (STRESS || UNLIKELY(fiber->worker->shuffles)) stress_shuffle(fiber);
}

bool fiber_wake(struct ticket ticket) {
  struct fiber *fiber = ticket.fiber;
  if (fiber->wait != ticket.wait || fiber->state != FIBER_PARKED) return false;
  wake(fiber, false);
  return true;
}

bool fiber_must_pause(lua_State *L) {
  struct worker *worker = worker_of(L);
  struct fiber *fiber = worker->running;
  if (!fiber) return false;
  if (UNLIKELY(fiber->interrupt_ns != HEARTBEAT_NEVER)) scope_expire_due(fiber);
  if (LIKELY(!fiber->cancelled && worker->operations_left > 0)) {
    worker->operations_left--;
    return false;
  }
  if (lua_isyieldable(L) && fiber->unyieldable == 0) return true;
  if (fiber->cancelled) fiber_raise_cancelled(L, scope_find_cancelled(fiber));
  return false;
}

lua_nret fiber_pause(lua_State *L, const char *waits_for, lua_KContext context, lua_KFunction k) {
  struct fiber *fiber = fiber_running(L);
  begin_park(L, fiber, waits_for);
  wake(fiber, fiber->cancelled);
  return lua_yieldk(L, 0, context, k);
}

lua_nret fiber_go_behind(lua_State *L, const char *waits_for, lua_KContext context,
                         lua_KFunction k) {
  struct fiber *fiber = fiber_running(L);
  begin_park(L, fiber, waits_for);
  wake_in_order(fiber, fiber->cancelled);
  return lua_yieldk(L, 0, context, k);
}

void fiber_wake_all(struct list *waiting) {
  struct list *link;
  while ((link = list_pop(waiting)))
    fiber_wake(fiber_ticket(container_of(link, struct fiber, link)));
}

void fiber_wake_cancelled(struct fiber *fiber) {
  if (fiber->state == FIBER_PARKED) wake(fiber, true);
}

bool fiber_was_cancelled(lua_State *L) {
  return fiber_running(L)->woken_cancelled;
}

void fiber_check_cancelled(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  if (fiber->woken_cancelled) fiber_raise_cancelled(L, scope_find_cancelled(fiber));
}

void fiber_push_cancelled(lua_State *L, const struct scope *scope) {
  const char *reason = scope ? scope->reason : NULL;
  if (scope && scope->cause == SCOPE_TIMEOUT) reason = "its time is over";
  if (reason)
    error_push(L, "cancelled", "cancelled: %s", reason);
  else
    error_push(L, "cancelled", "cancelled");
}

void fiber_raise_cancelled(lua_State *L, const struct scope *scope) {
  fiber_push_cancelled(L, scope);
  lua_error(L);
  __builtin_unreachable();
}

void fiber_cancel(struct fiber *fiber, const char *reason) {
  if (fiber->state == FIBER_IDLE || fiber->state == FIBER_ENDED) return;
  scope_cancel(scope_base(fiber), reason);
}

/* ---- resume ---- */

void fiber_publish(struct fiber *fiber) {
  struct worker *worker = fiber->worker;
  if (worker->running != fiber) return;
  atomic_store_explicit(&worker->heartbeat.interrupt_ns, fiber->interrupt_ns, memory_order_relaxed);
}

/* The only lua_resume: says which coroutine executes, for the signal handler of this thread. */
static int enter(struct worker *worker, lua_State *co, lua_State *from, int nargs, int *nresults) {
  lua_State *before = worker->heartbeat.executing;
  worker->heartbeat.executing = co;
  int status = lua_resume(co, from, nargs, nresults);
  worker->heartbeat.executing = before;
  return status;
}

/* Parts with a coroutine that cannot be used again. */
static void drop_coroutine(struct fiber *fiber) {
  luaL_unref(fiber->worker->L, LUA_REGISTRYINDEX, fiber->co_ref);
  fiber->co = NULL;
  fiber->co_given_out = false;
}

static void retire(struct fiber *fiber, int status) {
  struct worker *worker = fiber->worker;
  if (UNLIKELY(fiber->scope != NULL)) scope_drop_all(fiber);
  fiber->state = FIBER_IDLE;
  fiber->wait++;
  timer_stop(fiber->timers, &fiber->timer);
  fiber->waits_for = NULL;
  fiber->insist = fiber->cancel_taken = false;
  if (UNLIKELY(fiber->run != NULL)) call_run_leave(fiber);
  context_drop(fiber);
  free(fiber->traceback);
  free(fiber->trail);
  fiber->traceback = NULL;
  fiber->trail = NULL;
  list_remove(&fiber->live);
  if (status != LUA_YIELD)
    drop_coroutine(fiber);
  else
    worker->idle_coroutines++;
  if (fiber->co)
    list_push(&worker->idle_fibers, &fiber->link);
  else
    list_push_front(&worker->idle_fibers, &fiber->link);
}

void fiber_discard(struct fiber *fiber) {
  assert(fiber->state == FIBER_NEW);
  retire(fiber, LUA_YIELD);
}

void fiber_resume(struct fiber *fiber) {
  struct worker *worker = fiber->worker;
  struct heartbeat *heartbeat = &worker->heartbeat;
  assert(fiber->state == FIBER_READY && !worker->running);
  if (STRESS) stress_collect(worker);
  if (UNLIKELY(worker->instance_count > 1)) instance_show_of(fiber);
  state_set_waiting(fiber->co, false);
  fiber->state = FIBER_RUNNING;
  fiber->waits_for = NULL;
  worker->operations_left = OPERATIONS_MAX;
  worker->running = fiber;
  if (UNLIKELY(fiber->cancelled || fiber->base)) scope_refresh(fiber);
  uint64_t number = atomic_load_explicit(&heartbeat->resume, memory_order_relaxed);
  atomic_store_explicit(&heartbeat->interrupt_ns, fiber->interrupt_ns, memory_order_relaxed);
  atomic_store_explicit(&heartbeat->resume, number + 1, memory_order_release);
  if (UNLIKELY(fiber->interrupt_ns <= worker->now_ns)) interrupt_set_hook(worker, fiber->parked_co);

  int nargs = fiber->nargs, nresults;
  fiber->nargs = 0;
  if (UNLIKELY(worker->stall.is_watched)) stall_begin(worker);
  int status = enter(worker, fiber->co, worker->L, nargs, &nresults);
  if (UNLIKELY(worker->stall.is_watched)) stall_end(worker, fiber->name ? fiber->name : "?");

  atomic_store_explicit(&heartbeat->resume, number + 2, memory_order_release);
  worker->running = NULL;
  if (fiber->state == FIBER_PARKED || fiber->state == FIBER_READY) return;
  if (status > LUA_YIELD && fiber->kind->ended && fiber->state != FIBER_ENDED)
    fiber->kind->ended(fiber);
  retire(fiber, status);
}

void fiber_resume_first(struct fiber *fiber) {
  struct list *ready = &fiber->worker->ready;
  if (ready->next != &fiber->link || ready->prev != &fiber->link) return;
  list_remove(&fiber->link);
  fiber_resume(fiber);
}

int fiber_resume_nested(lua_State *L, lua_State *co, int nargs, int *nresults) {
  struct worker *worker = worker_of(L);
  struct fiber *fiber = worker->running;
  if (!fiber) return enter(worker, co, L, nargs, nresults);
  bool blocked = !lua_isyieldable(L);
  if (blocked) fiber->unyieldable++;
  int status = enter(worker, co, L, nargs, nresults);
  if (blocked) fiber->unyieldable--;
  if (UNLIKELY(fiber->insist)) interrupt_set_hook(worker, L);
  return status;
}

int fiber_close_nested(lua_State *L, lua_State *co) {
  struct worker *worker = worker_of(L);
  lua_State *before = worker->heartbeat.executing;
  worker->heartbeat.executing = co;
  int status = lua_resetthread(co);
  worker->heartbeat.executing = before;
  return status;
}

/* ---- the body of every fiber ---- */

static int run_body(lua_State *L);
static int results_taken(lua_State *L, int status, lua_KContext context);

static int next_body(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return run_body(L);
}

static int rest(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  fiber->state = FIBER_ENDED;
  if (fiber->kind->ended) fiber->kind->ended(fiber);
  if (fiber->co_given_out || fiber->worker->idle_coroutines >= IDLE_COROUTINES_MAX) return 0;
  lua_settop(L, 0);
  return lua_yieldk(L, 0, 0, next_body);
}

static int failed_ended(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return rest(L);
}

/* Unwinds what an interrupted or failed body left: the failed function starts on a clean fiber. */
static void leave_scopes(struct fiber *fiber) {
  scope_drop_all(fiber);
  fiber->insist = false;
}

/* Calls a C function of the kind with the kept values and the `count` values on top. */
static int call_with_kept(lua_State *L, lua_CFunction function, int count, int handler,
                          lua_KFunction k) {
  int kept = fiber_running(L)->kind->kept;
  lua_pushcfunction(L, function);
  for (int i = 1; i <= kept; i++) lua_pushvalue(L, i);
  lua_rotate(L, -(kept + 1 + count), kept + 1);
  return k(L, lua_pcallk(L, kept + count, 0, handler, 0, k), 0);
}

/* Stack: kept values, error handler, results or the error. */
static int body_ended(lua_State *L, int status, lua_KContext is_returned) {
  struct fiber *fiber = fiber_running(L);
  const struct fiber_kind *kind = fiber->kind;
  int count = lua_gettop(L) - kind->kept - 1;
  if (LIKELY(status == LUA_OK || status == LUA_YIELD)) {
    if (count > 0 && kind->returned && !is_returned)
      return call_with_kept(L, kind->returned, count, kind->kept + 1, results_taken);
    fiber->succeeded = true;
    return rest(L);
  }
  if (!kind->failed) return rest(L);
  leave_scopes(fiber);
  return call_with_kept(L, kind->failed, 1, 0, failed_ended);
}

static int results_taken(lua_State *L, int status, lua_KContext context) {
  (void)context;
  return body_ended(L, status, 1);
}

static int save_traceback(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  const char *kind = error_kind(L, 1);
  if (!fiber || !fiber->kind->failed) return 1;
  if (fiber->kind->answers && kind && strcmp(kind, "abort") == 0) return 1;
  fiber_push_traceback(L, 1, 1);
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  free(fiber->traceback);
  fiber->traceback = memory_copy(text, len);
  lua_settop(L, 1);
  return 1;
}

/* Stack: kept values; for kinds without entry the function; arguments. */
static int run_body(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  const struct fiber_kind *kind = fiber->kind;
  lua_CFunction other = kind->begin ? kind->begin(fiber) : NULL;
  lua_CFunction entry = other ? other : kind->entry;
  int handler = kind->kept + 1;
  if (UNLIKELY(other != NULL)) {
    for (int i = 1; i <= kind->kept; i++) lua_pushvalue(L, i);
    lua_rotate(L, kind->kept + 1, kind->kept);
  }
  lua_pushcfunction(L, save_traceback);
  lua_insert(L, handler);
  if (entry) {
    lua_pushcfunction(L, entry);
    lua_insert(L, handler + 1);
  }
  int nargs = lua_gettop(L) - handler - 1;
  return body_ended(L, lua_pcallk(L, nargs, LUA_MULTRET, handler, 0, body_ended), 0);
}

static int trampoline(lua_State *L) {
  return run_body(L);
}

/* ---- tracebacks ---- */

struct fiber_trail {
  const void *error; /* lua_topointer of it */
  bool is_joined;    /* other errors were put into it on its way: lib/children.h */
  char text[];
};

void fiber_set_trail(lua_State *L, int index, const char *traceback) {
  struct fiber *fiber = fiber_running(L);
  if (!fiber || !traceback) return;
  const struct fiber_trail *before = fiber->trail;
  size_t size = strlen(traceback) + 1;
  struct fiber_trail *trail = memory_alloc(sizeof *trail + size);
  trail->error = lua_topointer(L, index);
  trail->is_joined = before && before->error == trail->error && before->is_joined;
  memcpy(trail->text, traceback, size);
  free(fiber->trail);
  fiber->trail = trail;
}

const char *fiber_find_trail(lua_State *L, int index) {
  const struct fiber *fiber = fiber_running(L);
  if (!fiber || !fiber->trail || fiber->trail->error != lua_topointer(L, index)) return NULL;
  return fiber->trail->text;
}

void fiber_drop_trail(struct fiber *fiber) {
  free(fiber->trail);
  fiber->trail = NULL;
}

const void *fiber_joined_error(const struct fiber *fiber) {
  return fiber->trail && fiber->trail->is_joined ? fiber->trail->error : NULL;
}

bool fiber_is_joined(lua_State *L, int index) {
  const struct fiber *fiber = fiber_running(L);
  const void *error = lua_topointer(L, index);
  return fiber && error && fiber_joined_error(fiber) == error;
}

void fiber_set_joined(lua_State *L, bool is_joined) {
  struct fiber *fiber = fiber_running(L);
  if (fiber && fiber->trail) fiber->trail->is_joined = is_joined;
}

int fiber_save_trail(lua_State *L) {
  if (fiber_running(L)) {
    fiber_push_traceback(L, 1, 1);
    fiber_set_trail(L, 1, lua_tostring(L, -1));
  }
  lua_settop(L, 1);
  return 1;
}

void fiber_push_traceback(lua_State *L, int index, int level) {
  index = lua_absindex(L, index);
  traceback_push(L, level);
  const char *trail = fiber_find_trail(L, index);
  if (!trail || strlen(trail) > TRAIL_BYTES_MAX) return;
  lua_pushfstring(L, "%s\ncalled from:\n%s", trail, lua_tostring(L, -1));
  lua_remove(L, -2);
}
