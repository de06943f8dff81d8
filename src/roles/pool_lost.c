/* pool_lost.c - what becomes of threads that are stuck in C, and of what is known of them.
 *
 * The watchdog tells of such a thread with its own lock held and takes that of the pools inside:
 * nobody takes them the other way round. */
#include "roles/pool_lost.h"

#include "base/limits.h"
#include "base/log.h"
#include "roles/pool_runner.h"

#include <stdio.h>
#include <stdlib.h>

static const char *count_lost(struct runner *runner) {
  static const char replaced[] = "lost: another thread may take its place until it is back";
  static const char not_replaced[] = "no other thread takes its place, calls wait: as many are "
                                     "lost as may be replaced";
  struct pools *pools = runner->pools;
  struct pool *pool = runner->pool;
  if (runner->lost) return replaced;
  if (pools->stopping || pools->settling) return "the server waits for it";
  if (runner->waits > 0) return replaced; /* as one that waits it has been counted already */
  if (pool->lost == POOL_LOST_MAX) return not_replaced;
  runner->lost = true;
  pool->lost++;
  pool_runner_start_queued(pools, pool);
  return replaced;
}

/* It may have ended its call since the watchdog looked, and have begun another one. */
static bool is_given_up(const struct runner *runner) {
  const struct heartbeat *heartbeat = &runner->worker.heartbeat;
  uint64_t call = atomic_load_explicit(&heartbeat->call, memory_order_relaxed);
  return call && call == atomic_load_explicit(&heartbeat->cancel, memory_order_relaxed);
}

const char *pool_lost_note(struct worker *worker, const struct stuck_report *report) {
  struct runner *runner = worker->role_data;
  const char *consequence = NULL;
  uv_mutex_lock(&runner->pools->lock);
  if (is_given_up(runner)) {
    if (!runner->stuck) runner->stuck = memory_alloc(sizeof *runner->stuck);
    *runner->stuck = *report;
    consequence = count_lost(runner);
  }
  pool_runner_unlock(runner->pools);
  return consequence;
}

bool pool_lost_end(struct runner *runner) {
  bool was_lost = runner->lost;
  if (was_lost) runner->pool->lost--;
  runner->lost = false;
  free(runner->stuck);
  runner->stuck = NULL;
  return was_lost;
}

void pool_lost_log_return(const struct runner *runner) {
  char message[sizeof runner->title + 32];
  snprintf(message, sizeof message, "%s: is back", runner->title);
  log_write(runner->pools->process->log, LOG_INFO, message, NULL, 0);
}

static void log_running(const struct runner *runner, const struct log *log) {
  const struct stuck_report *stuck = runner->stuck;
  char message[sizeof runner->title + STUCK_WHERE_BYTES + 32];
  snprintf(message, sizeof message, "%s: still %s", runner->title,
           stuck ? stuck->where : "runs a call");
  const struct log_field field = log_text("traceback", stuck ? stuck->traceback : "");
  log_write(log, LOG_ERROR, message, &field, stuck && stuck->traceback[0] ? 1 : 0);
}

void pool_lost_log_running(struct pools *pools) {
  uv_mutex_lock(&pools->lock);
  for (struct list *link = pools->runners.next; link != &pools->runners; link = link->next) {
    const struct runner *runner = container_of(link, struct runner, link);
    if (runner->assigned) log_running(runner, pools->process->log);
  }
  pool_runner_unlock(pools);
}

/* ---- what a caller is told whose time is over ---- */

bool pool_lost_expire(struct call_host *host, struct call *call) {
  struct pools *pools = container_of(host, struct pools, host);
  uv_mutex_lock(&pools->lock);
  struct runner *runner = call->state == CALL_RUNNING ? call->runner : NULL;
  bool runs = runner && atomic_load_explicit(&runner->worker.heartbeat.call,
                                             memory_order_relaxed) == call->id;
  if (runs) pool_runner_cancel(runner, call);
  pool_runner_unlock(pools);
  return runs;
}

bool pool_lost_find(struct call_host *host, struct call *call, char *text, size_t size) {
  struct pools *pools = container_of(host, struct pools, host);
  uv_mutex_lock(&pools->lock);
  const struct runner *runner = call->state == CALL_RUNNING ? call->runner : NULL;
  bool found = runner && runner->stuck;
  if (found)
    snprintf(text, size, "%s: %s\n%s", runner->title, runner->stuck->where,
             runner->stuck->traceback);
  pool_runner_unlock(pools);
  return found;
}
