/* watchdog.c - the thread behind watchdog.h.
 *
 * It reads heartbeats and never touches Lua. A worker is asked only when the same resume has been
 * seen twice: what ends within a tick costs nobody anything. */
#include "core/watchdog.h"

#include "base/limits.h"
#include "base/log.h"
#include "core/fiber.h"
#include "core/interrupt.h"
#include "core/worker.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static unsigned what_to_ask(struct watchdog *watchdog, struct worker *worker, uint64_t now) {
  struct heartbeat *heartbeat = &worker->heartbeat;
  unsigned ask = 0;
  if (atomic_load_explicit(&heartbeat->interrupt_ns, memory_order_relaxed) <= now)
    ask |= HEARTBEAT_INTERRUPT;
  uint64_t cancel = atomic_load_explicit(&heartbeat->cancel, memory_order_acquire);
  if (cancel && cancel == atomic_load_explicit(&heartbeat->call, memory_order_relaxed))
    ask |= HEARTBEAT_INTERRUPT;
  if (!worker->role->stalls_matter) return ask;
  uint64_t held_ns = now - worker->seen_ns;
  if (watchdog->_warn_ns && held_ns >= watchdog->_warn_ns &&
      worker->reported_resume != worker->seen_resume) {
    worker->reported_resume = worker->seen_resume;
    ask |= HEARTBEAT_REPORT;
  }
  if (watchdog->_kill_ns && held_ns >= watchdog->_kill_ns) ask |= HEARTBEAT_KILL;
  return ask;
}

/* Looks at one worker; true when it is running Lua. */
static bool look(struct watchdog *watchdog, struct worker *worker, uint64_t now) {
  struct heartbeat *heartbeat = &worker->heartbeat;
  uint64_t resume = atomic_load_explicit(&heartbeat->resume, memory_order_acquire);
  if (resume % 2 == 0) return false;
  if (resume != worker->seen_resume) {
    worker->seen_resume = resume;
    worker->seen_ns = now;
    atomic_store_explicit(&heartbeat->asked, 0, memory_order_relaxed);
    return true;
  }
  unsigned ask = what_to_ask(watchdog, worker, now);
  atomic_store_explicit(&heartbeat->target, resume, memory_order_release);
  unsigned asked = atomic_fetch_or_explicit(&heartbeat->asked, ask, memory_order_acq_rel) | ask;
  if (asked) interrupt_signal(worker);
  return true;
}

static void watch(void *context) {
  struct watchdog *watchdog = context;
  uv_mutex_lock(&watchdog->_lock);
  while (!watchdog->_stopping) {
    uint64_t now = uv_hrtime();
    bool busy = false;
    for (struct list *link = watchdog->_workers.next; link != &watchdog->_workers;
         link = link->next)
      busy |= look(watchdog, container_of(link, struct worker, watched), now);
    uint64_t tick_ms = busy ? WATCHDOG_TICK_MS : WATCHDOG_IDLE_TICK_MS;
    uv_cond_timedwait(&watchdog->_wake, &watchdog->_lock, tick_ms * NS_PER_MS);
  }
  uv_mutex_unlock(&watchdog->_lock);
}

uv_err watchdog_start(struct watchdog *watchdog, uint64_t stall_warn_ms, uint64_t stall_kill_ms) {
  *watchdog = (struct watchdog){._warn_ns = stall_warn_ms * NS_PER_MS,
                                ._kill_ns = stall_kill_ms * NS_PER_MS};
  list_init(&watchdog->_workers);
  uv_mutex_init(&watchdog->_lock);
  uv_cond_init(&watchdog->_wake);
  return uv_thread_create(&watchdog->_thread, watch, watchdog);
}

void watchdog_stop(struct watchdog *watchdog) {
  assert(list_is_empty(&watchdog->_workers));
  uv_mutex_lock(&watchdog->_lock);
  watchdog->_stopping = true;
  uv_cond_signal(&watchdog->_wake);
  uv_mutex_unlock(&watchdog->_lock);
  uv_thread_join(&watchdog->_thread);
  uv_cond_destroy(&watchdog->_wake);
  uv_mutex_destroy(&watchdog->_lock);
}

void watchdog_add(struct watchdog *watchdog, struct worker *worker) {
  uv_mutex_lock(&watchdog->_lock);
  list_push(&watchdog->_workers, &worker->watched);
  uv_mutex_unlock(&watchdog->_lock);
}

void watchdog_remove(struct watchdog *watchdog, struct worker *worker) {
  uv_mutex_lock(&watchdog->_lock);
  list_remove(&worker->watched);
  uv_mutex_unlock(&watchdog->_lock);
}

/* ---- the report, on the thread that is held ---- */

enum { REPORT_LEVELS_MAX = 30, REPORT_BYTES_MAX = 4096 };

static int64_t thread_cpu_ms(void) {
  struct timespec cpu;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
  return (int64_t)cpu.tv_sec * 1000 + cpu.tv_nsec / 1000000;
}

void watchdog_report(struct worker *worker, lua_State *L) {
  const struct fiber *fiber = worker->running;
  char traceback[REPORT_BYTES_MAX] = "", request[20];
  state_write_traceback(L, 0, REPORT_LEVELS_MAX, "", traceback, sizeof traceback);
  snprintf(request, sizeof request, "%016" PRIx64, fiber->request);
  const struct log_field fields[] = {
      log_text("worker", worker->role->name),
      log_integer("held_ms", (int64_t)((uv_hrtime() - worker->now_ns) / NS_PER_MS)),
      log_integer("thread_cpu_ms", thread_cpu_ms()),
      log_text("runs", fiber->name ? fiber->name : "?"),
      log_text("request", request),
      log_text("advice", "mark what computes or blocks with perilune.blocking"),
      log_text("traceback", traceback),
  };
  log_write(worker->process->log, LOG_WARN, "the event loop is held", fields, array_len(fields));
}
