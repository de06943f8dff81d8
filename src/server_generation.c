/* server_generation.c - the course of a generation: start, drain, stop.
 *
 * The course is the enum server_phase: each step is taken once, in order, whatever comes when.
 * Threads (server_thread.c) are told what to do and answer by reports. */
#include "server_generation.h"

#include "base/log.h"
#include "core/snapshot.h"
#include "program.h"
#include "prometheus.h"
#include "roles/background.h"
#include "roles/pool.h"
#include "roles/route_table.h"
#include "server_signals.h"
#include "server_tasks.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool server_generation_is_ending(const struct server_generation *generation) {
  return generation->is_ending;
}

/* ---- the end ---- */

static void log_tasks(const struct server_generation *generation) {
  bool have_ended =
      generation->running == 0 && (generation->loops_have_ended || !generation->has_loops);
  server_tasks_log(&generation->shared, generation->threads, generation->count, have_ended,
                   generation->waited_ns);
}

/* The end, step by step: begins it, and goes on with it as far as it can go now. Legal in any
 * phase, and twice; whatever it waits for calls it again. */
static void shut_down(struct server_generation *generation);

/* What is left is interrupted, and has a grace to end in. */
static void shutdown_timed_out(struct timer *timer) {
  struct server_generation *generation =
      container_of(timer, struct server_generation, shutdown_timer);
  if (generation->is_overdue) {
    generation->calls->stuck(generation);
    return;
  }
  generation->is_overdue = true;
  generation->exit_code = 1;
  log_write(generation->shared.process->log, LOG_ERROR,
            "shutdown timed out: what is left is interrupted", NULL, 0);
  uint64_t limit_ns = SHUTDOWN_GRACE_MS * NS_PER_MS;
  timer_start(generation->timers, timer, uv_hrtime() + limit_ns, shutdown_timed_out);
  generation->drain_is_over = true;
  shut_down(generation);
  for (int i = 0; i < generation->count; i++) server_thread_interrupt(&generation->threads[i]);
  if (generation->shared.background) background_interrupt(generation->shared.background);
}

static void drain_timed_out(struct timer *timer) {
  struct server_generation *generation = container_of(timer, struct server_generation, drain_timer);
  const struct log_field field = log_integer("workers", generation->count - generation->drained);
  log_write(generation->shared.process->log, LOG_WARN, "requests in flight are cancelled", &field,
            1);
  generation->drain_is_over = true;
  shut_down(generation);
}

static void drain_threads(struct server_generation *generation) {
  generation->phase = PHASE_DRAINING;
  uint64_t limit_ns = (uint64_t)generation->program->settings.drain_timeout_ms * NS_PER_MS;
  timer_start(generation->timers, &generation->drain_timer, uv_hrtime() + limit_ns,
              drain_timed_out);
  for (int i = 0; i < generation->count; i++) server_thread_drain(&generation->threads[i]);
}

static void stop_threads(struct server_generation *generation) {
  generation->phase = PHASE_STOPPING;
  timer_stop(generation->timers, &generation->drain_timer);
  for (int i = 0; i < generation->count; i++) server_thread_stop(&generation->threads[i]);
}

/* Nothing runs in the workers any more; calls that they have given up may still run, on loops and,
 * also for those, in the pools. */
static void clear_loops(struct server_generation *generation) {
  generation->phase = PHASE_CLEARING;
  generation->waited_ns = uv_hrtime() - generation->stopped_ns;
  background_settle(generation->shared.background, &generation->shared.inbox,
                    &generation->loops_cleared);
}

static void deliver_loops_cleared(struct message *message, void *owner) {
  struct server_generation *generation = owner;
  (void)message;
  generation->loops_are_clear = true;
  shut_down(generation);
}

static void settle_pools(struct server_generation *generation) {
  generation->phase = PHASE_SETTLING;
  pools_settle(generation->shared.pools, &generation->shared.inbox, &generation->pools_settled);
}

static void deliver_pools_settled(struct message *message, void *owner) {
  struct server_generation *generation = owner;
  (void)message;
  generation->pools_are_settled = true;
  shut_down(generation);
}

/* Its on_stop may still call the loops. */
static void close_first(struct server_generation *generation) {
  generation->phase = PHASE_CLOSING;
  background_resume(generation->shared.background);
  server_thread_close(&generation->threads[0]);
}

static void end_loops(struct server_generation *generation) {
  generation->phase = PHASE_ENDING;
  background_stop(generation->shared.background, &generation->shared.inbox,
                  &generation->loops_ended);
}

static void deliver_loops_ended(struct message *message, void *owner) {
  struct server_generation *generation = owner;
  char problem[BACKGROUND_PROBLEM_BYTES];
  (void)message;
  generation->loops_have_ended = true;
  if (!generation->exit_code &&
      background_problem(generation->shared.background, problem, sizeof problem)) {
    fprintf(stderr, "perilune: %s\n", problem);
    generation->exit_code = 1;
  }
  shut_down(generation);
}

static void deliver_pools_ended(struct message *message, void *owner) {
  struct server_generation *generation = owner;
  (void)message;
  if (generation->was_posted) uv_thread_join(&generation->releaser);
  struct call_host *host = pools_host(generation->shared.pools);
  generation->shared.pools = NULL;
  host->release(host);
  generation->phase = PHASE_OVER;
}

static void destroy_pools(void *context) {
  struct server_generation *generation = context;
  pools_destroy(generation->shared.pools);
  inbox_post(&generation->shared.inbox, &generation->pools_ended);
}

/* A pool's thread in a C function may take its time: a thread waits for it, so that signals and the
 * limit of the shutdown still count here. */
static void release_pools(struct server_generation *generation) {
  if (generation->phase >= PHASE_RELEASING) return;
  generation->phase = PHASE_RELEASING;
  struct call_host *host = pools_host(generation->shared.pools);
  host->retain(host); /* they are asked when the time is over */
  log_tasks(generation);
  background_destroy(generation->shared.background);
  generation->shared.background = NULL;
  generation->was_posted =
      server_signals_create_thread(&generation->releaser, destroy_pools, generation) == 0;
  if (!generation->was_posted) destroy_pools(generation);
}

static bool has_ended(const struct server_generation *generation) {
  return generation->running == 0 && generation->has_loops == generation->loops_have_ended;
}

static void begin_end(struct server_generation *generation) {
  uint64_t limit_ns = (uint64_t)generation->program->settings.shutdown_timeout_ms * NS_PER_MS;
  generation->is_ending = true;
  generation->stopped_ns = uv_hrtime();
  timer_start(generation->timers, &generation->shutdown_timer, generation->stopped_ns + limit_ns,
              shutdown_timed_out);
}

static void shut_down(struct server_generation *generation) {
  if (!generation->is_ending) begin_end(generation);
  if (generation->phase == PHASE_SERVING) drain_threads(generation);
  bool is_drained = generation->phase == PHASE_DRAINING && generation->drain_is_over;
  if (is_drained || generation->phase == PHASE_LOADING) stop_threads(generation);
  bool only_first_is_left = generation->running == 1 && generation->threads[0].reported_quiet;
  if (generation->phase == PHASE_STOPPING && only_first_is_left) clear_loops(generation);
  if (generation->phase == PHASE_CLEARING && generation->loops_are_clear) settle_pools(generation);
  if (generation->phase == PHASE_SETTLING && generation->pools_are_settled) close_first(generation);
  bool is_closed = generation->phase == PHASE_CLOSING && generation->running == 0;
  if (is_closed && generation->has_loops) end_loops(generation);
  if (has_ended(generation)) release_pools(generation);
}

/* ---- the start, and what threads report ---- */

static void fail(struct server_generation *generation, const char *problem) {
  generation->exit_code = 1;
  generation->calls->failed(generation, problem);
  shut_down(generation);
}

static void start_thread(struct server_generation *generation, struct server_thread *thread) {
  uv_err error = server_signals_create_thread(&thread->thread, server_thread_run, thread);
  assert(error == 0);
  (void)error;
  generation->running++;
}

static void take_open(struct server_generation *generation, struct server_thread *thread) {
  thread->open = true;
  if (generation->is_ending) server_thread_stop(thread);
}

/* The app's names of loops are known. */
static void take_loaded(struct server_generation *generation) {
  if (generation->is_ending) return;
  generation->has_loops = true;
  server_signals_block();
  background_start(generation->shared.background, &generation->shared.inbox,
                   &generation->loops_started);
  server_signals_unblock();
}

static void deliver_loops_started(struct message *message, void *owner) {
  struct server_generation *generation = owner;
  char problem[BACKGROUND_PROBLEM_BYTES];
  (void)message;
  if (generation->is_ending) return;
  if (!background_problem(generation->shared.background, problem, sizeof problem)) {
    server_thread_proceed(&generation->threads[0]);
    return;
  }
  fail(generation, problem);
}

static void take_ready(struct server_generation *generation) {
  generation->ready++;
  if (generation->is_ending) return;
  if (generation->ready == 1)
    for (int i = 1; i < generation->count; i++) start_thread(generation, &generation->threads[i]);
  if (generation->ready < generation->count) return;
  generation->phase = PHASE_SERVING;
  for (int i = 0; i < generation->count; i++) server_thread_listen(&generation->threads[i]);
}

static void take_failed(struct server_generation *generation, struct server_thread *thread) {
  if (generation->is_ending)
    shut_down(generation);
  else
    fail(generation, thread->problem);
}

static void take_quiet(struct server_generation *generation, struct server_thread *thread) {
  thread->reported_quiet = true;
  shut_down(generation);
}

static void take_ended(struct server_generation *generation, struct server_thread *thread) {
  generation->running--;
  uv_thread_join(&thread->thread);
  if (thread->stop_failed) {
    fprintf(stderr, "perilune: %s\n", thread->problem);
    generation->exit_code = 1;
  }
  shut_down(generation);
}

static void take_listening(struct server_generation *generation) {
  if (++generation->listening == generation->count) generation->calls->listening(generation);
}

static void take_report(struct server_shared *shared, struct server_thread *thread,
                        enum server_report report) {
  struct server_generation *generation = container_of(shared, struct server_generation, shared);
  switch (report) {
  case SERVER_OPEN:
    take_open(generation, thread);
    break;
  case SERVER_LOADED:
    take_loaded(generation);
    break;
  case SERVER_READY:
    take_ready(generation);
    break;
  case SERVER_FAILED:
    take_failed(generation, thread);
    break;
  case SERVER_LISTENING:
    take_listening(generation);
    break;
  case SERVER_CLOSED:
    if (++generation->closed == generation->count) generation->calls->closed(generation);
    break;
  case SERVER_DRAINED:
    if (++generation->drained == generation->count) generation->drain_is_over = true;
    shut_down(generation);
    break;
  case SERVER_QUIET:
    take_quiet(generation, thread);
    break;
  case SERVER_ENDED:
    take_ended(generation, thread);
    break;
  case SERVER_REPORT_COUNT:
    break;
  }
}

/* ---- */

struct server_generation *server_generation_create(struct program *program, const char *dir,
                                                   uv_loop_t *loop, struct timers *timers,
                                                   const char *load_error) {
  struct server_generation *generation = memory_alloc_zero(sizeof *generation);
  list_init(&generation->link);
  generation->program = program;
  generation->loop = loop;
  generation->timers = timers;
  generation->count = program->settings.workers;
  generation->loops_started.deliver = deliver_loops_started;
  generation->loops_cleared.deliver = deliver_loops_cleared;
  generation->loops_ended.deliver = deliver_loops_ended;
  generation->pools_settled.deliver = deliver_pools_settled;
  generation->pools_ended.deliver = deliver_pools_ended;
  struct server_shared *shared = &generation->shared;
  generation->process = program->process;
  shared->process = &generation->process;
  if (load_error) generation->load_error = memory_copy(load_error, strlen(load_error));
  shared->load_error = generation->load_error;
  shared->take_report = take_report;
  shared->snapshot = snapshot_create(dir);
  shared->pools = pools_create(shared->process, shared->snapshot);
  shared->background =
      background_create(shared->process, shared->snapshot, pools_host(shared->pools));
  generation->threads = memory_alloc_zero((size_t)generation->count * sizeof *generation->threads);
  for (int i = 0; i < generation->count; i++)
    server_thread_init(&generation->threads[i], shared, i);
  inbox_init(&shared->inbox, loop, generation);
  return generation;
}

void server_generation_start(struct server_generation *generation, const int *fds) {
  for (int i = 0; i < generation->count; i++) generation->threads[i].fd = fds[i];
  start_thread(generation, &generation->threads[0]);
}

void server_generation_configure(struct server_generation *generation, struct slice app_settings) {
  buffer_clear(&generation->app_settings);
  buffer_add(&generation->app_settings, app_settings.data, app_settings.len);
  generation->process.app_settings =
      (struct slice){generation->app_settings.data, generation->app_settings.len};
}

void server_generation_notify(const struct server_generation *generation, const char *text) {
  for (int i = 0; i < generation->count; i++) server_thread_notify(&generation->threads[i], text);
}

void server_generation_yield(struct server_generation *generation,
                             const struct server_generation *successor) {
  for (int i = 0; i < generation->count; i++)
    server_thread_succeed(&generation->threads[i], &successor->threads[i]);
  shut_down(generation);
}

void server_generation_hurry(struct server_generation *generation) {
  generation->drain_is_over = true;
  shut_down(generation);
}

void server_generation_turn(struct server_generation *generation) {
  inbox_drain(&generation->shared.inbox);
}

void server_generation_stop(struct server_generation *generation) {
  shut_down(generation);
}

bool server_generation_is_over(const struct server_generation *generation) {
  return generation->phase == PHASE_OVER;
}

const char *server_generation_health(const struct server_generation *generation) {
  if (generation->is_ending) return "draining";
  bool serves = generation->phase == PHASE_SERVING && generation->listening == generation->count;
  return serves ? "ok" : "starting";
}

void server_generation_log_left(const struct server_generation *generation) {
  if (generation->shared.pools) pools_log_running(generation->shared.pools);
  if (generation->phase < PHASE_RELEASING) log_tasks(generation);
}

void server_generation_write_metrics(const struct server_generation *generation,
                                     struct buffer *out) {
  size_t count = (size_t)generation->count;
  const struct metrics **workers = memory_alloc(count * sizeof(struct metrics *));
  for (size_t i = 0; i < count; i++) workers[i] = &generation->threads[i].worker.metrics;
  prometheus_write_workers(out, workers, generation->count);
  free(workers);
  if (generation->phase >= PHASE_RELEASING) return;
  prometheus_write_pools(out, generation->shared.pools);
  prometheus_write_loops(out, generation->shared.background);
}

void server_generation_destroy(struct server_generation *generation) {
  struct server_shared *shared = &generation->shared;
  if (shared->background) background_destroy(shared->background);
  if (shared->pools) pools_destroy(shared->pools);
  timer_stop(generation->timers, &generation->drain_timer);
  timer_stop(generation->timers, &generation->shutdown_timer);
  route_table_destroy(shared->table);
  snapshot_destroy(shared->snapshot);
  for (int i = 0; i < generation->count; i++) server_thread_finish(&generation->threads[i]);
  free(generation->threads);
  inbox_finish(&shared->inbox);
  buffer_finish(&generation->app_settings);
  free(generation->load_error);
  free(generation);
}
