/* worker.c - the turn of a worker: wait in the loop, take messages, fire timers, run fibers.
 *
 * Callbacks of libuv only record; fibers run here, after uv_run has returned. uv_run is never
 * called inside a protected call of the Lua state. */
#include "core/worker.h"

#include "base/limits.h"
#include "core/call_run.h"
#include "core/clock.h"
#include "core/coverage.h"
#include "core/directory.h"
#include "core/fiber.h"
#include "core/instance.h"
#include "core/stress.h"
#include "core/watchdog.h"

#include <assert.h>
#include <stdlib.h>

uv_err worker_init(struct worker *worker) {
  list_init(&worker->faces);
  list_init(&worker->still_faces);
  list_init(&worker->ready);
  list_init(&worker->fibers);
  list_init(&worker->idle_fibers);
  list_init(&worker->instances);
  list_init(&worker->ended_instances);
  list_init(&worker->watched);
  list_init(&worker->listed);
  stress_init(worker);
  uv_err error = uv_loop_init(&worker->loop);
  if (error) return error;
  worker->loop.data = worker; /* what tells that there is one to close */
  if (worker->process->has_metrics) uv_loop_configure(&worker->loop, UV_METRICS_IDLE_TIME);
  timers_init(&worker->timers, &worker->loop);
  worker->app_timers = &worker->timers;
  error = inbox_init(&worker->inbox, &worker->loop, worker);
  if (error) return error;
  if (worker->clock) clock_join(worker);
  worker->L = state_create(worker);
  if (!worker->L) return UV_ENOMEM;
  worker->thread = uv_thread_self();
  worker->now_ns = uv_hrtime();
  atomic_store(&worker->heartbeat.interrupt_ns, HEARTBEAT_NEVER);
  watchdog_add(worker->process->watchdog, worker);
  directory_add(worker->process->directory, worker);
  coverage_start(worker->L);
  return 0;
}

/* Runs what is ready, up to a budget: what becomes ready meanwhile may run too, but I/O is looked
 * at in between. */
static void run_ready(struct worker *worker) {
  for (unsigned budget = TURN_RESUMES_MAX; budget > 0; budget--) {
    struct list *link = list_pop(&worker->ready);
    if (!link) break;
    fiber_resume(container_of(link, struct fiber, link));
  }
}

static void publish(struct worker *worker) {
  struct metrics *metrics = &worker->metrics;
  metrics_add(metrics, METRIC_LOOP_TURNS, 1);
  metrics_set(metrics, METRIC_LOOP_IDLE_NS, uv_metrics_idle_time(&worker->loop));
  metrics_set(metrics, METRIC_LUA_BYTES, worker->memory.used_bytes);
}

void worker_turn(struct worker *worker) {
  timers_arm(&worker->timers);
  bool waits = list_is_empty(&worker->ready) && !worker->again && !clock_is_due(worker);
  if (UNLIKELY(worker->face && waits)) clock_rest(worker);
  uv_run(&worker->loop, waits ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  if (UNLIKELY(worker->face != NULL)) clock_rouse(worker);
  worker->now_ns = uv_hrtime();
  inbox_drain(&worker->inbox);
  timers_run(&worker->timers);
  clock_run(worker);
  if (worker->role->begin) worker->role->begin(worker);
  run_ready(worker);
  if (worker->role->turn) worker->role->turn(worker);
  if (worker->process->has_metrics) publish(worker);
}

void worker_run(struct worker *worker) {
  while (!worker->stopped) worker_turn(worker);
}

void worker_hold(struct worker *worker) {
  worker->holds++;
}

void worker_release(struct worker *worker) {
  assert(worker->holds > 0);
  worker->holds--;
}

void worker_cancel_all(struct worker *worker, const char *reason) {
  for (struct list *link = worker->fibers.next; link != &worker->fibers; link = link->next)
    fiber_cancel(container_of(link, struct fiber, live), reason);
}

void worker_cancel_unshielded(struct worker *worker, const char *reason) {
  for (struct list *link = worker->fibers.next; link != &worker->fibers; link = link->next) {
    struct fiber *fiber = container_of(link, struct fiber, live);
    if (!fiber->shielded) fiber_cancel(fiber, reason);
  }
}

static void free_fibers(struct worker *worker) {
  struct list *link;
  while ((link = list_pop(&worker->ready))) continue;
  while ((link = list_pop(&worker->fibers))) {
    struct fiber *fiber = container_of(link, struct fiber, live);
    if (fiber->kind->lost) fiber->kind->lost(fiber);
    list_push(&worker->idle_fibers, &fiber->link); /* what it waited in is gone with the state */
  }
  while ((link = list_pop(&worker->idle_fibers))) {
    struct fiber *fiber = container_of(link, struct fiber, link);
    timer_stop(fiber->timers, &fiber->timer);
    if (fiber->run) call_run_leave(fiber);
    free(fiber->traceback);
    free(fiber->trail);
    scope_free_base(fiber);
    free(fiber);
  }
}

static void close_loop(struct worker *worker) {
  if (!worker->loop.data) return;
  uv_run(&worker->loop, UV_RUN_DEFAULT);
  uv_err error = uv_loop_close(&worker->loop);
  assert(error == 0);
  (void)error;
}

void worker_finish(struct worker *worker) {
  if (worker->L) {
    coverage_save(worker->L);
    directory_remove(worker->process->directory, worker);
    watchdog_remove(worker->process->watchdog, worker);
    state_destroy(worker->L);
    free_fibers(worker);
  }
  worker->L = NULL;
  if (worker->instance) instance_free_all(worker);
  stuck_finish(worker);
  stall_unwatch(worker);
  clock_leave(worker);
  inbox_finish(&worker->inbox);
  timers_finish(&worker->timers);
  clock_free_all(worker);
  close_loop(worker);
  if (worker->clock) clock_forget(worker);
}
