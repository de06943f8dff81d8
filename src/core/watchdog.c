/* watchdog.c - the thread behind watchdog.h.
 *
 * It reads heartbeats and never touches Lua. A worker is asked only when the same resume has been
 * seen twice: what ends within a tick costs nobody anything. What the hook has not answered within
 * STUCK_MS is looked at by the signal handler (stuck.h), and told from here. */
#include "core/watchdog.h"

#include "base/limits.h"
#include "base/log.h"
#include "core/fiber.h"
#include "core/interrupt.h"
#include "core/worker.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t ns_of(const struct timespec *time) {
  return (uint64_t)time->tv_sec * NS_PER_SECOND + (uint64_t)time->tv_nsec;
}

/* CPU time of the thread of a worker that is watched. */
static uint64_t read_cpu_ns(const struct worker *worker) {
  clockid_t clock;
  struct timespec cpu = {0};
  if (pthread_getcpuclockid(worker->thread, &clock) == 0) clock_gettime(clock, &cpu);
  return ns_of(&cpu);
}

/* ---- what is told ---- */

/* Of a stack that a hook reports. */
enum { STALL_LEVELS_MAX = 30 };

static const char advice[] = "mark what computes or blocks with perilune.blocking";

struct watchdog_report {
  const struct worker *worker; /* NULL: nothing is to be told */
  const struct log *log;
  bool is_stall; /* of an event loop; else cancelled code is stuck */
  char title[64];
  const char *role;
  const char *consequence;
  uint64_t held_ns, cpu_ns;
  struct stuck_report stuck;
};

static void write_stall(const struct log *log, const char *role, uint64_t held_ns, uint64_t cpu_ns,
                        const struct stuck_report *stuck) {
  char request[20];
  snprintf(request, sizeof request, "%016" PRIx64, stuck->request);
  struct log_field fields[8] = {
      log_text("worker", role),
      log_integer("held_ms", (int64_t)(held_ns / NS_PER_MS)),
      log_integer("thread_cpu_ms", (int64_t)(cpu_ns / NS_PER_MS)),
      log_text("runs", stuck->runs),
      log_text("request", request),
  };
  size_t count = 5;
  if (stuck->where[0]) fields[count++] = log_text("held", stuck->where);
  fields[count++] = log_text("advice", advice);
  if (stuck->traceback[0]) fields[count++] = log_text("traceback", stuck->traceback);
  log_write(log, LOG_WARN, "the event loop is held", fields, count);
}

static void write_stuck(const struct watchdog_report *report) {
  const struct stuck_report *stuck = &report->stuck;
  char message[512], request[20];
  snprintf(message, sizeof message, "%s: %.1f s %s", report->title,
           (double)report->held_ns / (double)NS_PER_SECOND, stuck->where);
  snprintf(request, sizeof request, "%016" PRIx64, stuck->request);
  struct log_field fields[5] = {
      log_integer("thread_cpu_ms", (int64_t)(report->cpu_ns / NS_PER_MS)),
      log_text("runs", stuck->runs),
      log_text("request", request),
  };
  size_t count = 3;
  if (report->consequence) fields[count++] = log_text("consequence", report->consequence);
  if (stuck->traceback[0]) fields[count++] = log_text("traceback", stuck->traceback);
  log_write(report->log, LOG_WARN, message, fields, count);
}

/* Without the lock: the log may be slow. */
static void tell(struct watchdog *watchdog) {
  const struct watchdog_report *report = watchdog->_report;
  uv_mutex_unlock(&watchdog->_lock);
  if (report->is_stall)
    write_stall(report->log, report->role, report->held_ns, report->cpu_ns, &report->stuck);
  else
    write_stuck(report);
  uv_mutex_lock(&watchdog->_lock);
  watchdog->_report->worker = NULL;
}

/* ---- what is stuck ---- */

static bool is_cancelled(const struct heartbeat *heartbeat) {
  uint64_t cancel = atomic_load_explicit(&heartbeat->cancel, memory_order_acquire);
  return cancel && cancel == atomic_load_explicit(&heartbeat->call, memory_order_relaxed);
}

/* Reads what the handler has found, or says that it could not tell. */
static void read_stuck(struct worker *worker, struct stuck_report *out) {
  if (stuck_take(&worker->stuck, out)) {
    stuck_name_function(out, worker->snapshot);
    return;
  }
  *out = (struct stuck_report){.since_ns = worker->sight.since_ns};
  snprintf(out->where, sizeof out->where, "in C, where it cannot be looked at now");
  snprintf(out->runs, sizeof out->runs, "?");
}

/* One report at a time; other workers' wait for the next tick. */
static struct watchdog_report *begin_report(struct watchdog *watchdog, struct worker *worker,
                                            uint64_t now) {
  struct watchdog_report *report = watchdog->_report;
  report->worker = worker;
  report->log = log_of_process(worker->process->log);
  report->role = worker->role->name;
  report->consequence = NULL;
  report->cpu_ns = read_cpu_ns(worker) - worker->sight.cpu_ns;
  read_stuck(worker, &report->stuck);
  report->held_ns = now - report->stuck.since_ns;
  return report;
}

/* The first line that is no C function's, which has no place; else the first. */
static const char *find_place(const char *traceback) {
  static const char c_function[] = "[C]";
  const char *line = traceback;
  while (line && strncmp(line, c_function, sizeof c_function - 1) == 0) {
    line = strchr(line, '\n');
    if (line) line++;
  }
  return line && *line ? line : traceback;
}

/* Under the lock. */
static void note_place(struct worker *worker, const struct stuck_report *report) {
  char *told = worker->stall.told;
  const char *first = report->where[0] ? report->where : find_place(report->traceback);
  snprintf(told, STALL_PLACE_BYTES, "%.*s", (int)strcspn(first, "\n"), first);
}

uint64_t watchdog_late_ns(const struct watchdog *watchdog) {
  return atomic_load_explicit(&watchdog->_late_ns, memory_order_relaxed);
}

void watchdog_forget_stall(struct worker *worker) {
  uv_mutex_lock(&worker->process->watchdog->_lock);
  *worker->stall.told = '\0';
  uv_mutex_unlock(&worker->process->watchdog->_lock);
}

void watchdog_set_snapshot(struct worker *worker, struct snapshot *snapshot) {
  uv_mutex_lock(&worker->process->watchdog->_lock);
  worker->snapshot = snapshot;
  uv_mutex_unlock(&worker->process->watchdog->_lock);
}

bool watchdog_take_stall(struct worker *worker, char *place) {
  uv_mutex_lock(&worker->process->watchdog->_lock);
  memcpy(place, worker->stall.told, STALL_PLACE_BYTES);
  uv_mutex_unlock(&worker->process->watchdog->_lock);
  return *place;
}

/* A loop is held by what no hook can reach. The hook may fire right now and tell it: then the
 * report is its own. */
static void report_stall(struct watchdog *watchdog, struct worker *worker, uint64_t now) {
  unsigned mine = HEARTBEAT_REPORT | HEARTBEAT_LOOK;
  unsigned asked = atomic_fetch_and_explicit(&worker->heartbeat.asked, ~mine, memory_order_acq_rel);
  if (!(asked & HEARTBEAT_REPORT)) return;
  struct watchdog_report *report = begin_report(watchdog, worker, now);
  report->is_stall = true;
  note_place(worker, &report->stuck);
}

static void report_stuck(struct watchdog *watchdog, struct worker *worker, uint64_t now) {
  struct sight *sight = &worker->sight;
  struct watchdog_report *report = begin_report(watchdog, worker, now);
  report->is_stall = false;
  snprintf(report->title, sizeof report->title, "%s", worker->title);
  report->consequence = worker->role->stuck(worker, &report->stuck);
  sight->repeat_ns = sight->repeat_ns ? 2 * sight->repeat_ns : STUCK_REPORT_MS * NS_PER_MS;
}

/* Whether the handler has had its chance to find something. A thread that has not been given the
 * processor is not stuck; one that keeps signals away is taken for stuck in the end. */
static bool has_looked(const struct worker *worker, uint64_t unanswered_ns) {
  enum { LOOKS = 3, PATIENCE = 20 };
  unsigned looks = atomic_load_explicit(&worker->stuck.looks, memory_order_relaxed);
  if (unanswered_ns < 2 * STUCK_MS * NS_PER_MS) return false;
  return looks - worker->sight.looks >= LOOKS || unanswered_ns >= PATIENCE * STUCK_MS * NS_PER_MS;
}

/* What has not been answered for STUCK_MS: asks the handler to look, and tells what it found; or,
 * after as long again, that it found nothing. */
static unsigned look_at_stuck(struct watchdog *watchdog, struct worker *worker, unsigned asked,
                              uint64_t now) {
  const struct sight *sight = &worker->sight;
  uint64_t unanswered_ns = now - sight->asked_ns;
  bool stalls = asked & HEARTBEAT_REPORT;
  bool tells = worker->role->stuck && is_cancelled(&worker->heartbeat) &&
               now - sight->since_ns >= sight->repeat_ns;
  if (unanswered_ns < STUCK_MS * NS_PER_MS || !(stalls || tells)) return 0;
  bool found = atomic_load_explicit(&worker->stuck.written, memory_order_acquire);
  if (!found && !has_looked(worker, unanswered_ns)) return HEARTBEAT_LOOK;
  if (watchdog->_report->worker) return HEARTBEAT_LOOK;
  if (stalls)
    report_stall(watchdog, worker, now);
  else
    report_stuck(watchdog, worker, now);
  return 0;
}

/* ---- the look at a worker ---- */

static unsigned what_to_ask(struct watchdog *watchdog, struct worker *worker, uint64_t now) {
  const struct heartbeat *heartbeat = &worker->heartbeat;
  struct sight *sight = &worker->sight;
  unsigned ask = 0;
  if (atomic_load_explicit(&heartbeat->interrupt_ns, memory_order_relaxed) <= now)
    ask |= HEARTBEAT_INTERRUPT;
  if (is_cancelled(heartbeat)) ask |= HEARTBEAT_INTERRUPT;
  if (!worker->role->stalls_matter) return ask;
  uint64_t held_ns = now - sight->since_ns;
  if (watchdog->_warn_ns && held_ns >= watchdog->_warn_ns && !sight->reported) {
    sight->reported = true;
    ask |= HEARTBEAT_REPORT;
  }
  if (watchdog->_kill_ns && held_ns >= watchdog->_kill_ns) ask |= HEARTBEAT_KILL;
  return ask;
}

static void see(struct worker *worker, uint64_t resume, uint64_t now) {
  struct stuck_report late;
  stuck_take(&worker->stuck, &late);
  worker->sight = (struct sight){
      .resume = resume,
      .since_ns = now,
      .cpu_ns = read_cpu_ns(worker),
      .looks = atomic_load_explicit(&worker->stuck.looks, memory_order_relaxed),
  };
  atomic_store_explicit(&worker->heartbeat.asked, 0, memory_order_relaxed);
}

/* Looks at one worker; true when it is running Lua. */
static bool look(struct watchdog *watchdog, struct worker *worker, uint64_t now) {
  struct heartbeat *heartbeat = &worker->heartbeat;
  struct sight *sight = &worker->sight;
  uint64_t resume = atomic_load_explicit(&heartbeat->resume, memory_order_acquire);
  if (resume % 2 == 0) return false;
  if (resume != sight->resume) {
    see(worker, resume, now);
    return true;
  }
  unsigned ask = what_to_ask(watchdog, worker, now);
  atomic_store_explicit(&heartbeat->target, resume, memory_order_release);
  unsigned unanswered = atomic_fetch_or_explicit(&heartbeat->asked, ask, memory_order_acq_rel);
  if (!unanswered) sight->asked_ns = now;
  unsigned more = look_at_stuck(watchdog, worker, unanswered | ask, now);
  if (more) atomic_fetch_or_explicit(&heartbeat->asked, more, memory_order_acq_rel);
  if (unanswered | ask) interrupt_signal(worker);
  return true;
}

/* Signals that end the server are for other threads, and for none that is started from here. */
static void block_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void watch(void *context) {
  struct watchdog *watchdog = context;
  block_signals();
  uv_mutex_lock(&watchdog->_lock);
  while (!watchdog->_stopping) {
    uint64_t now = uv_hrtime();
    bool busy = false;
    for (struct list *link = watchdog->_workers.next; link != &watchdog->_workers;
         link = link->next)
      busy |= look(watchdog, container_of(link, struct worker, watched), now);
    if (watchdog->_report->worker) tell(watchdog);
    uint64_t tick_ms = busy ? WATCHDOG_TICK_MS : WATCHDOG_IDLE_TICK_MS;
    uint64_t due_ns = uv_hrtime() + tick_ms * NS_PER_MS;
    if (!watchdog->_stopping)
      uv_cond_timedwait(&watchdog->_wake, &watchdog->_lock, tick_ms * NS_PER_MS);
    uint64_t woken_ns = uv_hrtime();
    if (woken_ns > due_ns) atomic_fetch_add(&watchdog->_late_ns, woken_ns - due_ns);
  }
  uv_mutex_unlock(&watchdog->_lock);
}

uv_err watchdog_start(struct watchdog *watchdog, uint64_t stall_warn_ms, uint64_t stall_kill_ms) {
  *watchdog = (struct watchdog){._warn_ns = stall_warn_ms * NS_PER_MS,
                                ._kill_ns = stall_kill_ms * NS_PER_MS,
                                ._report = memory_alloc_zero(sizeof *watchdog->_report)};
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
  free(watchdog->_report);
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

/* ---- the report of the hook, on the thread that is held ---- */

void watchdog_report(struct worker *worker, lua_State *L) {
  struct stuck_report report = {.since_ns = worker->now_ns};
  stuck_write_fiber(&report, worker);
  stuck_name_function(&report, worker->snapshot);
  state_write_traceback(L, 0, STALL_LEVELS_MAX, "", report.traceback, sizeof report.traceback);
  uv_mutex_lock(&worker->process->watchdog->_lock);
  note_place(worker, &report);
  uv_mutex_unlock(&worker->process->watchdog->_lock);
  write_stall(log_of_process(worker->process->log), worker->role->name,
              uv_hrtime() - report.since_ns, read_cpu_ns(worker) - worker->sight.cpu_ns, &report);
}
