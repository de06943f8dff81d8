/* background_loop.c - the thread of a background loop: its start, its calls, its end.
 *
 * Each call is a fiber, and is over when that and what closes its request's values have ended; what
 * it has spawned lives on, as on an HTTP worker. Messages only say that something has changed;
 * turn() looks at how far things are. */
#include "roles/background_loop.h"

#include "core/call_run.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/opened.h"
#include "core/place.h"
#include "core/require.h"
#include "lib/life.h"
#include "lib/once.h"
#include "lib/schedule.h"
#include "roles/call_body.h"
#include "roles/pool.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* What a loop runs, and what is asked to be cancelled: find_reason() says which of its fibers is
 * meant. */
#define LOOP_ID UINT64_MAX

/* Why something is cancelled. */
static const char SETTLED[] = WORKER_STOPS, STOPPED[] = "the loop stops",
                  OVERDUE[] = WORKER_OVERDUE,
                  ALL_CANCELLED[] = "all calls of the loop are cancelled",
                  ABANDONED[] = "by its caller";

static struct background_loop *loop_of(struct worker *worker) {
  return container_of(worker, struct background_loop, worker);
}

static void lock(struct background_loop *loop) {
  uv_mutex_lock(&loop->background->lock);
}

static void unlock(struct background_loop *loop) {
  uv_mutex_unlock(&loop->background->lock);
}

/* Whether all that runs is to be cancelled. */
static bool is_clearing(const struct background_loop *loop) {
  if (loop->step == LOOP_ENDING) return false;
  return loop->settling || loop->stopping || loop->step == LOOP_ENDED;
}

/* What was asked of code that computes has been done; while all is to be cancelled it holds for
 * what begins to compute before its turn, too. Under the lock. */
static void clear_cancel(struct background_loop *loop) {
  if (is_clearing(loop)) return;
  atomic_store_explicit(&loop->worker.heartbeat.cancel, 0, memory_order_relaxed);
}

/* ---- reports ---- */

static bool is_busy(const struct background_loop *loop) {
  if (!loop->has_thread || loop->gone) return false;
  return loop->starting || loop->settles || loop->background->stopping;
}

void background_loop_report(struct background *background) {
  struct background_report *report = &background->report;
  struct list *loops = &background->loops;
  for (struct list *link = loops->next; link != loops; link = link->next)
    if (is_busy(container_of(link, struct background_loop, link))) return;
  if (report->is_awaited && report->inbox) inbox_post(report->inbox, report->message);
  report->is_awaited = false;
}

static void end_starting(struct background_loop *loop) {
  loop->is_starting = false;
  lock(loop);
  loop->starting = false;
  background_loop_report(loop->background);
  unlock(loop);
}

static void end_settling(struct background_loop *loop) {
  loop->settling = false;
  lock(loop);
  loop->settles = false;
  clear_cancel(loop);
  background_loop_report(loop->background);
  unlock(loop);
}

/* The first problem is the one that is told. */
static void set_problem(struct background_loop *loop, const char *text) {
  lock(loop);
  if (!loop->problem) loop->problem = memory_copy(text, strlen(text));
  unlock(loop);
}

/* A start that was not let go on has not failed. */
static void set_start_problem(struct background_loop *loop, const char *text) {
  lock(loop);
  bool is_ended = loop->settles || loop->stops;
  unlock(loop);
  if (!is_ended) set_problem(loop, text);
}

/* ---- calls ---- */

static void end_call(struct background_loop *loop, struct call_run *run) {
  struct call *call = run->call;
  call_run_end(run);
  opened_settle(loop->worker.L);
  lock(loop);
  list_remove(&call->link);
  loop->calls--;
  struct inbox *inbox = call_return(call);
  unlock(loop);
  if (inbox) inbox_wake(inbox);
}

static void closed(struct fiber *fiber) {
  end_call(loop_of(fiber->worker), fiber->run);
}

static void call_ended(struct fiber *fiber) {
  static const struct fiber_kind closing = {once_close_all, .ended = closed};
  struct call_run *run = fiber->run;
  run->call->runner = NULL;
  run->main = NULL;
  if (!once_start_closing_run(run, fiber->worker, &closing, NULL))
    end_call(loop_of(fiber->worker), run);
}

/* Under the lock. */
static void cancel_unwanted(struct background_loop *loop) {
  struct list *link;
  while ((link = list_pop(&loop->unwanted))) {
    struct call *call = container_of(link, struct call, link);
    list_push(&loop->running, &call->link);
    if (call->runner) fiber_cancel(call->runner, ABANDONED);
  }
}

/* Calls, and what they have spawned. */
static void cancel_calls(struct background_loop *loop) {
  struct list *fibers = &loop->worker.fibers;
  for (struct list *link = fibers->next; link != fibers; link = link->next) {
    struct fiber *fiber = container_of(link, struct fiber, live);
    if (fiber->run) fiber_cancel(fiber, ALL_CANCELLED);
  }
}

/* Takes over what has been ordered. */
static void look(struct background_loop *loop) {
  lock(loop);
  bool cancels = loop->cancels;
  loop->cancels = false;
  loop->settling = loop->settles;
  loop->stopping = loop->stops;
  loop->worker.tasks.end.overdue = loop->overdue;
  clear_cancel(loop);
  cancel_unwanted(loop);
  unlock(loop);
  if (cancels) cancel_calls(loop);
}

static int raise_cancelled(lua_State *L) {
  fiber_raise_cancelled(L, scope_find_cancelled(fiber_running(L)));
}

/* Others may have held the loop since the call was taken: it does not start when it is not wanted
 * any more. */
static lua_CFunction begin_call(struct fiber *fiber) {
  struct worker *worker = fiber->worker;
  if (atomic_load_explicit(&worker->heartbeat.cancel, memory_order_relaxed) != 0)
    look(loop_of(worker));
  return fiber->cancelled ? raise_cancelled : NULL;
}

static void start_call(struct background_loop *loop, struct call *call) {
  static const struct fiber_kind kind = {call_body_run, call_body_failed, .begin = begin_call,
                                         .ended = call_ended};
  call->kind = CALL_RAISED; /* until it has returned; without bytes it means: it was not run */
  struct call_run *run = call_run_begin(call);
  struct fiber *fiber = fiber_create(&loop->worker, &kind);
  if (!fiber) {
    end_call(loop, run);
    return;
  }
  call->runner = fiber;
  fiber->name = "background function";
  fiber->is_generic = true;
  fiber->request = call->request;
  fiber->instance = loop->worker.instance;
  call_run_give(fiber, run);
  run->main = fiber;
  fiber_start(fiber, 0);
}

static bool takes_calls(const struct background_loop *loop) {
  return loop->step == LOOP_READY && !loop->settling && !loop->stopping;
}

/* What is ordered of all calls is for those that were made before. */
static struct call *take_call(struct background_loop *loop) {
  struct call *call = NULL;
  lock(loop);
  while (loop->cancels) {
    unlock(loop);
    look(loop);
    lock(loop);
  }
  struct list *link = list_pop(&loop->queue);
  if (link) {
    call = container_of(link, struct call, link);
    call->state = CALL_RUNNING;
    list_push(&loop->running, &call->link);
  }
  unlock(loop);
  return call;
}

static void start_calls(struct background_loop *loop) {
  while (takes_calls(loop)) {
    struct call *call = take_call(loop);
    if (!call) return;
    start_call(loop, call);
  }
}

void background_loop_refuse_queued(struct background_loop *loop) {
  struct list *link;
  while ((link = list_pop(&loop->queue))) {
    struct call *call = container_of(link, struct call, link);
    loop->calls--;
    call->kind = CALL_RAISED;
    struct inbox *inbox = call_return(call);
    if (inbox) inbox_wake(inbox);
  }
}

/* Asked on the loop's thread, of code that computes, while a cancellation has not been delivered.
 */
static const char *find_reason(struct worker *worker, const struct fiber *fiber) {
  struct background_loop *loop = loop_of(worker);
  const struct call *call = fiber->run ? fiber->run->call : NULL;
  const char *reason = NULL;
  lock(loop);
  if (loop->step == LOOP_ENDING)
    reason = NULL; /* what ends it, ends in its own time */
  else if (loop->overdue)
    reason = OVERDUE;
  else if (loop->settles || loop->stops)
    reason = fiber->shielded ? NULL : loop->settles ? SETTLED : STOPPED;
  else if (loop->cancels && fiber->run)
    reason = ALL_CANCELLED;
  else if (call && call->abandoned)
    reason = ABANDONED;
  unlock(loop);
  return reason;
}

/* ---- hooks ---- */

/* On top of the stack: nil, or which hook failed and why. */
static int begun(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct background_loop *loop = loop_of(worker_of(L));
  const char *problem = lua_tostring(L, -1);
  if (problem)
    set_start_problem(loop, problem);
  else
    loop->has_started = true;
  return 0;
}

/* Stack: the app. */
static int app_loaded(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct background_loop *loop = loop_of(worker_of(L));
  place_end_load(L);
  lua_pushvalue(L, 1);
  schedule_begin_app(L, -1, loop->worker.app_timers);
  loop->app = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_callk(L, life_push_loop(L, 1, "begin_loop", loop->name), 1, 0, begun);
  return begun(L, LUA_OK, 0);
}

static int load_app(lua_State *L) {
  require_push_caller(L);
  lua_pushliteral(L, "perilune.load");
  lua_callk(L, 1, 1, 0, app_loaded);
  return app_loaded(L, LUA_OK, 0);
}

static int load_failed(lua_State *L) {
  struct background_loop *loop = loop_of(worker_of(L));
  lua_pushfstring(L, "the app did not load in loop '%s': %s", loop->name, error_push_text(L, 1));
  set_start_problem(loop, lua_tostring(L, -1));
  return 0;
}

static void begin_ended(struct fiber *fiber) {
  struct background_loop *loop = loop_of(fiber->worker);
  place_end_load(loop->worker.L);
  if (!loop->has_started) set_start_problem(loop, "not enough memory");
  loop->step = loop->has_started ? LOOP_READY : LOOP_ENDED;
}

/* On top of the stack: nil, or what the first that failed had. */
static int stopped(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  const char *problem = lua_tostring(L, -1);
  if (problem) set_problem(loop_of(worker_of(L)), problem);
  return 0;
}

static int run_stop(lua_State *L) {
  struct background_loop *loop = loop_of(worker_of(L));
  lua_rawgeti(L, LUA_REGISTRYINDEX, loop->app);
  lua_callk(L, life_push_loop(L, 1, "end_loop", loop->name), 1, 0, stopped);
  return stopped(L, LUA_OK, 0);
}

static int stop_failed(lua_State *L) {
  set_problem(loop_of(worker_of(L)), error_push_text(L, 1));
  return 0;
}

static void stop_ended(struct fiber *fiber) {
  loop_of(fiber->worker)->step = LOOP_ENDED;
}

/* A step of the loop in a fiber of its own. */
static void start_step(struct background_loop *loop, const struct fiber_kind *kind,
                       const char *name) {
  struct fiber *fiber = fiber_create(&loop->worker, kind);
  if (!fiber) {
    set_problem(loop, "not enough memory");
    loop->step = LOOP_ENDED;
    loop->worker.again = true; /* nothing else would make it look */
    return;
  }
  fiber->name = name;
  fiber->instance = loop->worker.instance;
  fiber_start(fiber, 0);
}

static void start_begin(struct background_loop *loop) {
  static const struct fiber_kind kind = {load_app, load_failed, .ended = begin_ended};
  place_begin_load(loop->worker.L, loop->background->pools);
  loop->step = LOOP_BEGINNING;
  start_step(loop, &kind, "load");
}

static void start_stop(struct background_loop *loop) {
  static const struct fiber_kind kind = {run_stop, stop_failed, .ended = stop_ended};
  loop->has_started = false;
  loop->step = LOOP_ENDING;
  lock(loop);
  clear_cancel(loop);
  unlock(loop);
  start_step(loop, &kind, "on_stop");
}

/* ---- the thread ---- */

/* Nothing runs: the hooks on_stop are next, or the end. */
static void end(struct background_loop *loop) {
  if (loop->has_started)
    start_stop(loop);
  else
    loop->worker.stopped = true;
}

/* What is shielded goes on, unless the end of the server has taken too long. */
static void cancel_left(struct background_loop *loop) {
  struct worker *worker = &loop->worker;
  worker->tasks.end.closed = true;
  if (worker->tasks.end.overdue)
    worker_cancel_all(worker, OVERDUE);
  else
    worker_cancel_unshielded(worker, loop->settling ? SETTLED : STOPPED);
}

/* Ends what runs, and then what that was waited for with; gives whether the loop is not to go on.
 */
static bool clear(struct background_loop *loop) {
  struct worker *worker = &loop->worker;
  if (!is_clearing(loop)) return false;
  if (!list_is_empty(&worker->fibers)) {
    cancel_left(loop);
    return true;
  }
  bool ends = loop->stopping || loop->step == LOOP_ENDED;
  if (loop->settling) end_settling(loop);
  if (ends) end(loop);
  return ends;
}

static void turn(struct worker *worker) {
  struct background_loop *loop = loop_of(worker);
  worker->again = false;
  if (loop->is_starting && loop->step != LOOP_BEGINNING) end_starting(loop);
  if (!clear(loop)) start_calls(loop);
}

static const struct worker_role background_role = {.name = "background",
                                                   .stalls_matter = true,
                                                   .runs_blocking = false,
                                                   .turn = turn,
                                                   .cancels = find_reason};

static void deliver_wake(struct message *message, void *owner) {
  struct background_loop *loop = container_of(message, struct background_loop, wake);
  (void)owner;
  lock(loop);
  loop->woken = false; /* the message may be posted again */
  unlock(loop);
  look(loop);
}

void background_loop_wake(struct background_loop *loop, bool cancels) {
  if (!loop->open) return;
  if (cancels) atomic_store_explicit(&loop->worker.heartbeat.cancel, LOOP_ID, memory_order_release);
  if (loop->woken) return;
  loop->woken = true;
  inbox_post(&loop->worker.inbox, &loop->wake);
}

/* Whether messages are taken or not from now on; a loop that takes none any more is over. */
static void set_open(struct background_loop *loop, bool is_open) {
  lock(loop);
  loop->open = is_open;
  if (!is_open) {
    loop->stops = true;
    background_loop_refuse_queued(loop);
  }
  unlock(loop);
}

static void run(void *context) {
  struct background_loop *loop = context;
  struct worker *worker = &loop->worker;
  uv_err error = worker_init(worker);
  if (error) {
    set_problem(loop, uv_strerror(error));
  } else {
    atomic_store(&worker->heartbeat.call, LOOP_ID);
    set_open(loop, true);
    look(loop);
    start_begin(loop);
    worker_run(worker);
  }
  set_open(loop, false);
  clock_expect(worker->clock); /* its end is work, until that is told */
  worker_finish(worker);
  lock(loop);
  loop->gone = true;
  background_loop_report(loop->background);
  unlock(loop);
  clock_expect_not(worker->clock);
}

void background_loop_start(struct background_loop *loop) {
  struct background *background = loop->background;
  loop->worker.role = &background_role;
  loop->worker.process = background->process;
  loop->worker.snapshot = background->snapshot;
  loop->worker.clock = background->clock;
  loop->worker.loop_name = loop->name;
  loop->wake.deliver = deliver_wake;
  loop->starting = loop->is_starting = loop->has_thread = true;
  clock_expect(loop->worker.clock);
  if (uv_thread_create(&loop->thread, run, loop) == 0) return;
  clock_expect_not(loop->worker.clock);
  static const char problem[] = "a background loop's thread cannot be started";
  loop->problem = memory_copy(problem, sizeof problem - 1);
  loop->has_thread = false;
  loop->stops = true;
}
