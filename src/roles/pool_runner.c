/* pool_runner.c - the thread of a pool: how it loads the app, runs a call, and takes the next one.
 *
 * A runner is idle in its loop and nowhere else. A call is over when its fiber and all that it
 * spawned have ended. */
#include "roles/pool_runner.h"

#include "base/limits.h"
#include "base/settings.h"
#include "core/call_run.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/opened.h"
#include "core/require.h"
#include "core/transfer.h"
#include "lib/life.h"
#include "lib/once.h"
#include "roles/call_body.h"
#include "roles/pool_lost.h"
#include "roles/pool_nested.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct runner *runner_of(struct worker *worker) {
  return worker->role_data;
}

/* What a thread runs while it loads the app: the id of no call. */
#define LOAD_ID UINT64_MAX

/* ---- messages under the lock ---- */

static void wake_due(struct pools *pools) {
  if (pools->due) inbox_wake(pools->due);
  pools->due = NULL;
}

/* One inbox can be remembered; the one before is woken under the lock. */
static void wake_later(struct pools *pools, struct inbox *inbox) {
  if (!inbox) return;
  wake_due(pools);
  pools->due = inbox;
}

static void post(struct pools *pools, struct inbox *inbox, struct message *message) {
  inbox_add(inbox, message);
  wake_later(pools, inbox);
}

void pool_runner_unlock(struct pools *pools) {
  struct inbox *due = pools->due;
  pools->due = NULL;
  uv_mutex_unlock(&pools->lock);
  if (due) inbox_wake(due);
}

/* ---- running one call ---- */

static void call_ended(struct fiber *fiber) {
  struct runner *runner = runner_of(fiber->worker);
  call_drop_offered(fiber);
  runner->run->main = NULL;
  runner->ended = true;
}

/* Whether no call that has been made is wanted any more. Under the lock. */
static bool is_ending(const struct pools *pools) {
  return pools->stopping || pools->settling;
}

/* Whether the call is to be run: somebody still wants it. */
static bool begin_call(struct runner *runner) {
  struct call *call = runner->call;
  call->started_ns = uv_hrtime();
  uv_mutex_lock(&runner->pools->lock);
  bool wanted = !call->abandoned && !is_ending(runner->pools);
  if (wanted)
    histogram_add(&runner->pool->figures.wait, call->started_ns - call->queued_ns);
  else
    call->started_ns = 0;
  pool_runner_unlock(runner->pools);
  return wanted;
}

static void start_call(struct runner *runner) {
  struct call *call = runner->call;
  runner->started = true;
  runner->ended = !begin_call(runner);
  call->kind = CALL_RAISED; /* until it has returned; without bytes it means: it was not run */
  if (runner->ended) return;
  runner->run = call_run_begin(call);
  struct heartbeat *heartbeat = &runner->worker.heartbeat;
  atomic_store_explicit(&heartbeat->call, call->id, memory_order_relaxed);
  static const struct fiber_kind kind = {call_body_run, call_body_failed, .ended = call_ended};
  struct fiber *fiber = fiber_create(&runner->worker, &kind);
  if (!fiber) {
    runner->ended = true;
    return;
  }
  fiber->name = "blocking function";
  fiber->is_generic = true;
  fiber->request = call->request;
  fiber->takes_offers = call->takes_offer;
  call_run_give(fiber, runner->run);
  runner->run->main = fiber;
  fiber_start(fiber, 0);
}

static int encode_load_problem(lua_State *L) {
  struct runner *runner = runner_of(worker_of(L));
  lua_pushlstring(L, runner->load_problem.data, runner->load_problem.len);
  transfer_encode_error(L, -1, NULL, &runner->call->result);
  runner->call->told = true;
  return 0;
}

/* The call fails with the error that the load of the app gave in this thread. */
static void fail_call(struct runner *runner) {
  runner->started = runner->ended = true;
  runner->call->kind = CALL_RAISED;
  lua_State *L = runner->worker.L;
  lua_pushcfunction(L, encode_load_problem);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* ---- between calls ---- */

/* It gets no calls and no messages any more. Under the lock. */
static void part_from_pool(struct runner *runner) {
  list_remove(&runner->idle);
  runner->pool->threads--;
  runner->left = true;
  runner->open = false;
}

/* The thread ends with this turn. Under the lock. */
static void leave_pool(struct runner *runner) {
  if (!runner->left) part_from_pool(runner);
  runner->worker.stopped = true;
}

static void end_idle(struct timer *timer) {
  struct runner *runner = container_of(timer, struct runner, idle_timer);
  uv_mutex_lock(&runner->pools->lock);
  if (!runner->assigned) leave_pool(runner);
  pool_runner_unlock(runner->pools);
}

/* Under the lock. */
static void give_back(struct call *call) {
  struct pools *pools = container_of(call->host, struct pools, host);
  pool_nested_end(call);
  wake_later(pools, call_return(call));
}

/* Gives the finished call back. Under the lock. */
static void end_call(struct runner *runner) {
  struct call *call = runner->call;
  if (call->started_ns) histogram_add(&runner->pool->figures.run, uv_hrtime() - call->started_ns);
  pool_nested_end_all(runner);
  call_run_end(runner->run);
  runner->run = NULL;
  runner->call = runner->assigned = NULL;
  runner->started = false;
  atomic_store_explicit(&runner->worker.heartbeat.call, 0, memory_order_relaxed);
  give_back(call);
}

/* What is queued goes to a new thread, if it can be started. Under the lock. */
static void replace(struct runner *runner) {
  struct pool *pool = runner->pool;
  pool->figures.replaced++;
  pool_runner_start_queued(runner->pools, pool);
  if (pool->threads == 0) pool_runner_refuse_queued(pool);
}

/* Takes the next call, becomes idle, or leaves. Under the lock. */
static void go_on(struct runner *runner) {
  struct pool *pool = runner->pool;
  bool cannot = runner->pools->stopping || runner->load_problem.len > 0;
  if (runner->full || pool_nested_has_surplus(pool)) {
    leave_pool(runner);
    if (runner->full) replace(runner);
    return;
  }
  struct list *link = list_pop(&pool->queue);
  if (link) {
    pool->queued--;
    runner->call = runner->assigned = container_of(link, struct call, link);
    runner->call->state = CALL_RUNNING;
    runner->call->runner = runner;
  } else if (cannot) {
    leave_pool(runner);
  } else {
    list_push(&pool->idle, &runner->idle);
  }
}

static bool is_quiet(const struct pools *pools) {
  for (struct list *link = pools->runners.next; link != &pools->runners; link = link->next)
    if (container_of(link, struct runner, link)->assigned) return false;
  for (struct list *link = pools->pools.next; link != &pools->pools; link = link->next)
    if (container_of(link, struct pool, link)->queued > 0) return false;
  return true;
}

void pool_runner_end_settling(struct pools *pools) {
  if (!pools->settling || !is_quiet(pools)) return;
  pools->settling = false;
  if (pools->settled_inbox) post(pools, pools->settled_inbox, pools->settled);
}

static int collect(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  return 0;
}

/* A state that had no memory for its call, or has too little for the next one, is not used again;
 * what could not tell its error had none either. */
static void look_at_memory(struct runner *runner) {
  struct call *call = runner->call;
  if (call->kind == CALL_RAISED && !call->told) {
    buffer_clear(&call->result);
    if (call->started_ns) call->kind = CALL_OUT_OF_MEMORY;
  }
  const struct memory *memory = &runner->worker.memory;
  size_t usable = memory->limit_bytes / 100 * MEMORY_FULL_PERCENT;
  if (call->kind != CALL_OUT_OF_MEMORY &&
      (memory->limit_bytes == 0 || memory->used_bytes <= usable))
    return;
  lua_State *L = runner->worker.L;
  lua_pushcfunction(L, collect);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
  runner->full = call->kind == CALL_OUT_OF_MEMORY || memory->used_bytes > usable;
}

static void await_call(struct runner *runner) {
  uint64_t idle_ms = (uint64_t)runner->pools->process->settings->pool_idle_ms;
  if (idle_ms > POOL_IDLE_MS_MAX) idle_ms = POOL_IDLE_MS_MAX;
  timer_start(&runner->worker.timers, &runner->idle_timer, uv_hrtime() + idle_ms * NS_PER_MS,
              end_idle);
}

/* A thread that has another call wakes the caller of the last one under the lock: it is better that
 * a loop meets it, and then takes several results at once, than that it runs in between for each.
 */
static void next_call(struct runner *runner) {
  opened_settle(runner->worker.L);
  look_at_memory(runner);
  uv_mutex_lock(&runner->pools->lock);
  end_call(runner);
  bool is_back = pool_lost_end(runner);
  go_on(runner);
  bool idle = !runner->call && !runner->left;
  pool_runner_end_settling(runner->pools);
  if (runner->call) wake_due(runner->pools);
  pool_runner_unlock(runner->pools);
  if (is_back) pool_lost_log_return(runner);
  if (idle) await_call(runner);
}

/* What the hooks on_state have spawned ends before the first call; gives whether it has. */
static bool end_load(struct runner *runner) {
  if (runner->loading) return false;
  runner->loaded = list_is_empty(&runner->worker.fibers);
  if (!runner->loaded) worker_cancel_all(&runner->worker, "the hooks on_state have ended");
  return runner->loaded;
}

/* At the end of each turn: a call is over when its fiber and all that it spawned have ended. One
 * that ends without a fiber is over at once, since nothing would wake the loop for it. */
static void turn(struct worker *worker) {
  struct runner *runner = runner_of(worker);
  for (;;) {
    if (runner->ended && runner->started) {
      if (once_is_closing(worker)) return;
      if (!list_is_empty(&worker->fibers)) {
        worker_cancel_all(worker, "the blocking function that started it has ended");
        return;
      }
      static const struct fiber_kind closing = {.entry = once_close_all};
      if (runner->run && once_start_closing_run(runner->run, worker, &closing, NULL)) return;
      next_call(runner);
    }
    if (!runner->loaded && !end_load(runner)) return;
    if (!runner->call || runner->started) return;
    timer_stop(&worker->timers, &runner->idle_timer);
    if (runner->load_problem.len > 0)
      fail_call(runner);
    else
      start_call(runner);
  }
}

static const struct worker_role pool_role = {
    .name = "pool", .runs_blocking = true, .turn = turn, .stuck = pool_lost_note};

/* ---- the thread ---- */

static void set_load_problem(struct runner *runner, const char *text) {
  buffer_clear(&runner->load_problem);
  buffer_printf(&runner->load_problem, "the app did not load in a pool thread: %s", text);
}

/* On top of the stack: nil, or which hook failed and why. */
static int hooks_run(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct runner *runner = runner_of(worker_of(L));
  const char *problem = lua_tostring(L, -1);
  if (problem)
    set_load_problem(runner, problem);
  else
    buffer_clear(&runner->load_problem);
  return 0;
}

/* Stack: the app. */
static int app_loaded(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  const struct runner *runner = runner_of(worker_of(L));
  place_end_load(L);
  int number = runner->worker.index + 1;
  lua_callk(L, life_push_state(L, 1, "pool", runner->pool->name, number), 1, 0, hooks_run);
  return hooks_run(L, LUA_OK, 0);
}

static int load_app(lua_State *L) {
  require_push_caller(L);
  lua_pushliteral(L, "perilune.load");
  lua_callk(L, 1, 1, 0, app_loaded);
  return app_loaded(L, LUA_OK, 0);
}

static int load_failed(lua_State *L) {
  set_load_problem(runner_of(worker_of(L)), error_push_text(L, 1));
  return 0;
}

static void end_loading(struct runner *runner) {
  atomic_store_explicit(&runner->worker.heartbeat.call, 0, memory_order_relaxed);
  uv_mutex_lock(&runner->pools->lock);
  runner->loading = false;
  pool_runner_unlock(runner->pools);
}

static void load_ended(struct fiber *fiber) {
  struct runner *runner = runner_of(fiber->worker);
  place_end_load(runner->worker.L);
  end_loading(runner);
}

static void start_load(struct runner *runner) {
  place_begin_load(runner->worker.L, &runner->pools->host);
  set_load_problem(runner, "not enough memory"); /* until it is known better */
  atomic_store_explicit(&runner->worker.heartbeat.call, LOAD_ID, memory_order_relaxed);
  static const struct fiber_kind kind = {load_app, load_failed, .ended = load_ended};
  struct fiber *fiber = fiber_create(&runner->worker, &kind);
  if (!fiber) {
    end_loading(runner);
    turn(&runner->worker); /* nothing would wake its loop */
    return;
  }
  set_load_problem(runner, "cancelled, or without the memory to say more"); /* as above */
  fiber->name = "load";
  fiber_start(fiber, 0);
}

void pool_runner_refuse_queued(struct pool *pool) {
  struct list *link;
  while ((link = list_pop(&pool->queue))) {
    struct call *call = container_of(link, struct call, link);
    pool->queued--;
    call->kind = CALL_RAISED;
    give_back(call);
  }
}

/* What no state could be made for, or need be, fails where its caller is; so does what is queued
 * behind it when no other thread is there to run it. */
static void give_up(struct runner *runner) {
  uv_mutex_lock(&runner->pools->lock);
  struct call *call = runner->call;
  runner->call = runner->assigned = NULL;
  call->kind = CALL_RAISED;
  give_back(call);
  part_from_pool(runner);
  if (runner->pool->threads == 0) pool_runner_refuse_queued(runner->pool);
  pool_runner_end_settling(runner->pools);
  pool_runner_unlock(runner->pools);
}

static void run(void *context) {
  struct runner *runner = context;
  setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), POOL_NICE);
  uv_err error = worker_init(&runner->worker);
  uv_mutex_lock(&runner->pools->lock);
  runner->open = error == 0 && !is_ending(runner->pools);
  pool_runner_unlock(runner->pools);
  if (runner->open) {
    start_load(runner);
    worker_run(&runner->worker);
  } else {
    give_up(runner);
  }
  worker_finish(&runner->worker);
  buffer_finish(&runner->load_problem);
  uv_mutex_lock(&runner->pools->lock);
  runner->gone = true;
  pool_runner_unlock(runner->pools);
}

/* Written before the message was posted, so the inbox's lock orders it. */
static void take_assigned(struct message *message, void *owner) {
  struct runner *runner = container_of(message, struct runner, wake);
  (void)owner;
  runner->call = runner->assigned;
}

static void stop_running(struct message *message, void *owner) {
  struct runner *runner = container_of(message, struct runner, stop);
  (void)owner;
  if (runner->call) {
    worker_cancel_all(&runner->worker, "the server stops");
    return;
  }
  uv_mutex_lock(&runner->pools->lock);
  leave_pool(runner);
  pool_runner_unlock(runner->pools);
}

/* ---- what the pool does with it ---- */

static bool has_index(const struct pools *pools, const struct pool *pool, int index) {
  for (struct list *link = pools->runners.next; link != &pools->runners; link = link->next) {
    const struct runner *runner = container_of(link, struct runner, link);
    if (runner->pool == pool && !runner->gone && runner->worker.index == index) return true;
  }
  return false;
}

uv_err pool_runner_start(struct pools *pools, struct pool *pool, struct call *call) {
  struct runner *runner = memory_alloc_zero(sizeof *runner);
  runner->pools = pools;
  runner->pool = pool;
  runner->call = runner->assigned = call;
  runner->wake.deliver = take_assigned;
  runner->stop.deliver = stop_running;
  runner->loading = true;
  runner->worker.role = &pool_role;
  runner->worker.role_data = runner;
  runner->worker.process = pools->process;
  runner->worker.snapshot = pools->snapshot;
  runner->worker.clock = pools->clock;
  while (has_index(pools, pool, runner->worker.index)) runner->worker.index++;
  snprintf(runner->title, sizeof runner->title, "thread %d of pool %s", runner->worker.index + 1,
           pool->name);
  runner->worker.title = runner->title;
  list_init(&runner->idle);
  list_init(&runner->nested);
  clock_expect(pools->clock);
  uv_err error = uv_thread_create(&runner->thread, run, runner);
  if (error) {
    clock_expect_not(pools->clock);
    free(runner);
    return error;
  }
  call->state = CALL_RUNNING;
  call->runner = runner;
  pool->threads++;
  list_push(&pools->runners, &runner->link);
  return 0;
}

void pool_runner_start_queued(struct pools *pools, struct pool *pool) {
  if (list_is_empty(&pool->queue)) return;
  struct call *call = container_of(pool->queue.next, struct call, link);
  if (pool_runner_start(pools, pool, call) != 0) return;
  list_remove(&call->link);
  pool->queued--;
}

void pool_runner_retire(struct runner *runner) {
  part_from_pool(runner);
  post(runner->pools, &runner->worker.inbox, &runner->stop);
}

void pool_runner_hand_over(struct runner *runner, struct call *call) {
  list_remove(&runner->idle);
  runner->assigned = call;
  call->state = CALL_RUNNING;
  call->runner = runner;
  post(runner->pools, &runner->worker.inbox, &runner->wake);
}

struct cancel_message {
  struct message message;
  uint64_t id;  /* of the call */
  bool to_load; /* also while the app is loaded for it */
};

static void deliver_cancel(struct message *message, void *owner) {
  struct cancel_message *cancel = container_of(message, struct cancel_message, message);
  struct runner *runner = runner_of(owner);
  bool is_its_call = runner->call && runner->call->id == cancel->id;
  if (is_its_call && (runner->started || cancel->to_load))
    worker_cancel_all(&runner->worker, "by its caller");
  free(cancel);
}

/* What the watchdog is to interrupt, if it computes. */
static void set_cancel(struct runner *runner, uint64_t id) {
  bool to_load = runner->loading && is_ending(runner->pools);
  atomic_store_explicit(&runner->worker.heartbeat.cancel, to_load ? LOAD_ID : id,
                        memory_order_release);
}

void pool_runner_cancel(struct runner *runner, struct call *call) {
  if (!runner->open) return;
  struct cancel_message *cancel = memory_alloc_zero(sizeof *cancel);
  cancel->message.deliver = deliver_cancel;
  cancel->id = call->id;
  cancel->to_load = is_ending(runner->pools);
  set_cancel(runner, call->id);
  post(runner->pools, &runner->worker.inbox, &cancel->message);
}

void pool_runner_stop(struct runner *runner) {
  if (runner->assigned) set_cancel(runner, runner->assigned->id);
  if (runner->open) post(runner->pools, &runner->worker.inbox, &runner->stop);
}
