/* server.c - serving an app: workers from settings; start, drain, stop.
 *
 * The main thread takes signals and tells the HTTP workers (server_thread.c) what to do; they
 * answer by reports. The course of a server is the enum phase: each step is taken once, in order,
 * whatever comes when. */
#include "server.h"

#include "admin.h"
#include "base/log.h"
#include "core/line_writer.h"
#include "core/log_writer.h"
#include "core/snapshot.h"
#include "lib/spool.h"
#include "program.h"
#include "prometheus.h"
#include "roles/background.h"
#include "roles/pool.h"
#include "roles/route_table.h"
#include "server_sockets.h"
#include "server_tasks.h"
#include "server_thread.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Two that end the server, and one that opens the access log again, as nginx has it. */
enum { SIGNAL_COUNT = 3 };
static const int signal_numbers[SIGNAL_COUNT] = {SIGINT, SIGTERM, SIGUSR1};

enum phase {
  PHASE_LOADING,
  PHASE_SERVING,
  PHASE_DRAINING, /* what is in flight is answered */
  PHASE_STOPPING, /* what still runs in the workers is cancelled */
  PHASE_CLEARING, /* what still runs on the background loops is cancelled */
  PHASE_SETTLING, /* what still runs in the pools comes to its end */
  PHASE_CLOSING,  /* on_stop, and the end of the first worker */
  PHASE_ENDING    /* on_stop of the background loops, and their end */
};

struct server {
  struct server_shared shared;
  struct program *program;
  uv_loop_t loop;
  struct timers timers;
  struct timer drain_timer, shutdown_timer;
  uv_signal_t signals[SIGNAL_COUNT];
  struct server_thread *threads;
  int count;   /* of threads */
  int running; /* threads that have been started and have not ended */
  int ready, listening, drained;
  bool drain_is_over; /* or its time is */
  bool loops_are_clear, pools_are_settled;
  bool has_loops, loops_have_ended; /* their start has been begun; they are no more */
  struct server_sockets sockets;
  struct admin *admin;     /* NULL: none */
  struct timespec started; /* on the wall clock */
  uint64_t started_ns;
  struct message loops_started, loops_cleared, loops_ended, pools_settled, pools_ended;
  enum phase phase;
  bool is_overdue; /* the shutdown has taken too long: what was left has been interrupted */
  uint64_t stopped_ns, waited_ns; /* when the end began, and how long the workers have taken */
  int exit_code;
};

static bool is_ending(const struct server *server) {
  return timer_is_started(&server->shutdown_timer);
}

/* ---- the end ---- */

static void log_tasks(const struct server *server) {
  bool have_ended = server->running == 0 && (server->loops_have_ended || !server->has_loops);
  server_tasks_log(&server->shared, server->threads, server->count, have_ended, server->waited_ns);
}

/* Ends with threads running, and without their consent. */
static void end_process(struct server *server) {
  struct line_writer *access_log = server->program->process.access_log;
  if (access_log) line_writer_stop(access_log);
  spool_clear(server->program->process.spool);
  log_writer_stop(server->program->log_writer);
  _exit(1);
}

/* Hard end of what does not end by itself. */
static void give_up(struct server *server) {
  log_write(server->program->process.log, LOG_ERROR, "shutdown timed out: what is left is given up",
            NULL, 0);
  if (server->shared.pools) pools_log_running(server->shared.pools);
  log_tasks(server);
  end_process(server);
}

/* The end, step by step: begins it, and goes on with it as far as it can go now. Legal in any
 * phase, and twice; whatever it waits for calls it again. */
static void shut_down(struct server *server);

/* What is left is interrupted, and has a grace to end in. */
static void shutdown_timed_out(struct timer *timer) {
  struct server *server = container_of(timer, struct server, shutdown_timer);
  if (server->is_overdue) give_up(server);
  server->is_overdue = true;
  server->exit_code = 1;
  log_write(server->program->process.log, LOG_ERROR,
            "shutdown timed out: what is left is interrupted", NULL, 0);
  uint64_t limit_ns = SHUTDOWN_GRACE_MS * NS_PER_MS;
  timer_start(&server->timers, timer, uv_hrtime() + limit_ns, shutdown_timed_out);
  server->drain_is_over = true;
  shut_down(server);
  for (int i = 0; i < server->count; i++) server_thread_interrupt(&server->threads[i]);
  background_interrupt(server->shared.background);
}

static void drain_timed_out(struct timer *timer) {
  struct server *server = container_of(timer, struct server, drain_timer);
  const struct log_field field = log_integer("workers", server->count - server->drained);
  log_write(server->program->process.log, LOG_WARN, "requests in flight are cancelled", &field, 1);
  server->drain_is_over = true;
  shut_down(server);
}

static void drain_threads(struct server *server) {
  server->phase = PHASE_DRAINING;
  uint64_t limit_ns = (uint64_t)server->program->settings.drain_timeout_ms * NS_PER_MS;
  timer_start(&server->timers, &server->drain_timer, uv_hrtime() + limit_ns, drain_timed_out);
  for (int i = 0; i < server->count; i++) server_thread_drain(&server->threads[i]);
}

static void stop_threads(struct server *server) {
  server->phase = PHASE_STOPPING;
  timer_stop(&server->timers, &server->drain_timer);
  for (int i = 0; i < server->count; i++) server_thread_stop(&server->threads[i]);
}

/* Nothing runs in the workers any more; calls that they have given up may still run, on loops and,
 * also for those, in the pools. */
static void clear_loops(struct server *server) {
  server->phase = PHASE_CLEARING;
  server->waited_ns = uv_hrtime() - server->stopped_ns;
  background_settle(server->shared.background, &server->shared.inbox, &server->loops_cleared);
}

static void deliver_loops_cleared(struct message *message, void *owner) {
  struct server *server = owner;
  (void)message;
  server->loops_are_clear = true;
  shut_down(server);
}

static void settle_pools(struct server *server) {
  server->phase = PHASE_SETTLING;
  pools_settle(server->shared.pools, &server->shared.inbox, &server->pools_settled);
}

static void deliver_pools_settled(struct message *message, void *owner) {
  struct server *server = owner;
  (void)message;
  server->pools_are_settled = true;
  shut_down(server);
}

/* Its on_stop may still call the loops. */
static void close_first(struct server *server) {
  server->phase = PHASE_CLOSING;
  background_resume(server->shared.background);
  server_thread_close(&server->threads[0]);
}

static void end_loops(struct server *server) {
  server->phase = PHASE_ENDING;
  background_stop(server->shared.background, &server->shared.inbox, &server->loops_ended);
}

static void deliver_loops_ended(struct message *message, void *owner) {
  struct server *server = owner;
  char problem[BACKGROUND_PROBLEM_BYTES];
  (void)message;
  server->loops_have_ended = true;
  if (server->exit_code || !background_problem(server->shared.background, problem, sizeof problem))
    return;
  fprintf(stderr, "perilune: %s\n", problem);
  server->exit_code = 1;
}

static void begin_end(struct server *server) {
  uint64_t limit_ns = (uint64_t)server->program->settings.shutdown_timeout_ms * NS_PER_MS;
  server->stopped_ns = uv_hrtime();
  timer_start(&server->timers, &server->shutdown_timer, server->stopped_ns + limit_ns,
              shutdown_timed_out);
  server_sockets_finish(&server->sockets); /* the next server may come already */
}

static void shut_down(struct server *server) {
  if (!is_ending(server)) begin_end(server);
  if (server->phase == PHASE_SERVING) drain_threads(server);
  bool is_drained = server->phase == PHASE_DRAINING && server->drain_is_over;
  if (is_drained || server->phase == PHASE_LOADING) stop_threads(server);
  bool only_first_is_left = server->running == 1 && server->threads[0].reported_quiet;
  if (server->phase == PHASE_STOPPING && only_first_is_left) clear_loops(server);
  if (server->phase == PHASE_CLEARING && server->loops_are_clear) settle_pools(server);
  if (server->phase == PHASE_SETTLING && server->pools_are_settled) close_first(server);
  bool is_over = server->phase == PHASE_CLOSING && server->running == 0;
  if (is_over && server->has_loops) end_loops(server);
}

/* ---- signals ---- */

static void reopen_access_log(struct server *server) {
  struct line_writer *access_log = server->program->process.access_log;
  if (access_log) line_writer_reopen(access_log);
}

static void take_signal(uv_signal_t *handle, int number) {
  struct server *server = handle->data;
  if (number == SIGUSR1) {
    reopen_access_log(server);
    return;
  }
  if (is_ending(server)) end_process(server); /* the second signal */
  const struct log_field field = log_text("signal", number == SIGINT ? "SIGINT" : "SIGTERM");
  log_write(server->program->process.log, LOG_INFO, "stopping", &field, 1);
  shut_down(server);
}

/* They reach the main thread alone: other threads start with them blocked. */
static void block_signals(int how) {
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < SIGNAL_COUNT; i++) sigaddset(&set, signal_numbers[i]);
  pthread_sigmask(how, &set, NULL);
}

/* ---- the start, and what threads report ---- */

static uv_err create_thread(uv_thread_t *thread, void (*entry)(void *context), void *context) {
  block_signals(SIG_BLOCK);
  uv_err error = uv_thread_create(thread, entry, context);
  block_signals(SIG_UNBLOCK);
  return error;
}

static void start_thread(struct server *server, struct server_thread *thread) {
  uv_err error = create_thread(&thread->thread, server_thread_run, thread);
  assert(error == 0);
  (void)error;
  server->running++;
}

static void take_open(struct server *server, struct server_thread *thread) {
  thread->open = true;
  if (is_ending(server)) server_thread_stop(thread);
}

/* The app's names of loops are known. */
static void take_loaded(struct server *server) {
  if (is_ending(server)) return;
  server->has_loops = true;
  block_signals(SIG_BLOCK);
  background_start(server->shared.background, &server->shared.inbox, &server->loops_started);
  block_signals(SIG_UNBLOCK);
}

static void deliver_loops_started(struct message *message, void *owner) {
  struct server *server = owner;
  char problem[BACKGROUND_PROBLEM_BYTES];
  (void)message;
  if (is_ending(server)) return;
  if (!background_problem(server->shared.background, problem, sizeof problem)) {
    server_thread_proceed(&server->threads[0]);
    return;
  }
  fprintf(stderr, "perilune: %s\n", problem);
  server->exit_code = 1;
  shut_down(server);
}

static void take_ready(struct server *server) {
  server->ready++;
  if (is_ending(server)) return;
  if (server->ready == 1)
    for (int i = 1; i < server->count; i++) start_thread(server, &server->threads[i]);
  if (server->ready < server->count) return;
  server->phase = PHASE_SERVING;
  for (int i = 0; i < server->count; i++) server_thread_listen(&server->threads[i]);
}

static void take_failed(struct server *server, struct server_thread *thread) {
  if (!is_ending(server)) {
    fprintf(stderr, "perilune: %s\n", thread->problem);
    server->exit_code = 1;
  }
  shut_down(server);
}

static void take_quiet(struct server *server, struct server_thread *thread) {
  thread->reported_quiet = true;
  shut_down(server);
}

static void take_ended(struct server *server, struct server_thread *thread) {
  server->running--;
  uv_thread_join(&thread->thread);
  if (thread->stop_failed) {
    fprintf(stderr, "perilune: %s\n", thread->problem);
    server->exit_code = 1;
  }
  shut_down(server);
}

static void take_listening(struct server *server) {
  if (++server->listening < server->count) return;
  const struct program *program = server->program;
  server_sockets_log(&server->sockets, &program->settings, program->process.log, server->count);
}

static void take_report(struct server_shared *shared, struct server_thread *thread,
                        enum server_report report) {
  struct server *server = container_of(shared, struct server, shared);
  switch (report) {
  case SERVER_OPEN:
    take_open(server, thread);
    break;
  case SERVER_LOADED:
    take_loaded(server);
    break;
  case SERVER_READY:
    take_ready(server);
    break;
  case SERVER_FAILED:
    take_failed(server, thread);
    break;
  case SERVER_LISTENING:
    take_listening(server);
    break;
  case SERVER_DRAINED:
    if (++server->drained == server->count) server->drain_is_over = true;
    shut_down(server);
    break;
  case SERVER_QUIET:
    take_quiet(server, thread);
    break;
  case SERVER_ENDED:
    take_ended(server, thread);
    break;
  case SERVER_REPORT_COUNT:
    break;
  }
}

static uv_err bind_sockets(struct server *server) {
  int *fds = memory_alloc((size_t)server->count * sizeof *fds);
  const struct settings *settings = &server->program->settings;
  uv_err error = server_sockets_bind(&server->sockets, settings, server->count, fds);
  for (int i = 0; i < server->count && !error; i++) server->threads[i].fd = fds[i];
  free(fds);
  return error;
}

static bool open_access_log(struct server *server) {
  const char *path = server->program->settings.access_log;
  char message[LINE_WRITER_MESSAGE_BYTES];
  if (*path == '\0' || strcmp(path, "off") == 0) return true;
  struct line_writer *writer = line_writer_create(path, server->program->process.log, message);
  if (!writer) fprintf(stderr, "perilune: --access-log: %s\n", message);
  server->program->process.access_log = writer;
  return writer != NULL;
}

/* ---- what the admin endpoint is told ---- */

static const char *tell_health(void *context) {
  const struct server *server = context;
  switch (server->phase) {
  case PHASE_LOADING:
    break;
  case PHASE_SERVING:
    return server->listening == server->count ? "ok" : "starting";
  case PHASE_DRAINING:
  case PHASE_STOPPING:
  case PHASE_CLEARING:
  case PHASE_SETTLING:
  case PHASE_CLOSING:
  case PHASE_ENDING:
    return "draining";
  }
  return "starting";
}

static void write_metrics(void *context, struct buffer *out) {
  const struct server *server = context;
  size_t count = (size_t)server->count;
  const struct metrics **workers = memory_alloc(count * sizeof(struct metrics *));
  for (size_t i = 0; i < count; i++) workers[i] = &server->threads[i].worker.metrics;
  prometheus_write_workers(out, workers, server->count);
  free(workers);
  prometheus_write_pools(out, server->shared.pools);
  prometheus_write_loops(out, server->shared.background);
  const struct prometheus_process process = {
      .started = server->started,
      .started_ns = server->started_ns,
      .access_log = server->program->process.access_log,
      .log = server->program->log_writer,
  };
  prometheus_write_process(out, &process);
}

static bool open_admin(struct server *server) {
  const char *endpoint = server->program->settings.admin;
  char message[ADMIN_MESSAGE_BYTES];
  if (*endpoint == '\0') return true;
  const struct admin_source source = {server, tell_health, write_metrics};
  server->admin = admin_create(endpoint, &source, &server->loop, &server->timers,
                               server->program->process.log, message);
  if (!server->admin) fprintf(stderr, "perilune: --admin: %s\n", message);
  server->program->process.has_metrics = true;
  return server->admin != NULL;
}

/* ---- */

static void start_signals(struct server *server) {
  for (size_t i = 0; i < SIGNAL_COUNT; i++) {
    uv_signal_init(&server->loop, &server->signals[i]);
    server->signals[i].data = server;
    uv_signal_start(&server->signals[i], take_signal, signal_numbers[i]);
  }
}

static void turn_main(struct server *server) {
  timers_arm(&server->timers);
  uv_run(&server->loop, UV_RUN_ONCE);
  inbox_drain(&server->shared.inbox);
  timers_run(&server->timers);
  admin_flush(server->admin);
}

static void close_admin(struct server *server) {
  admin_close(server->admin);
  while (!admin_is_closed(server->admin)) turn_main(server);
  admin_destroy(server->admin);
  server->admin = NULL;
}

static void deliver_pools_ended(struct message *message, void *owner) {
  (void)message;
  ((struct server *)owner)->shared.pools = NULL;
}

static void destroy_pools(void *context) {
  struct server *server = context;
  pools_destroy(server->shared.pools);
  inbox_post(&server->shared.inbox, &server->pools_ended);
}

/* A pool's thread in a C function may take its time: a thread waits for it, so that signals and the
 * limit of the shutdown still count here. */
static void end_pools(struct server *server) {
  uv_thread_t thread;
  struct call_host *host = pools_host(server->shared.pools);
  host->retain(host); /* they are asked when the time is over */
  if (create_thread(&thread, destroy_pools, server) == 0) {
    while (server->shared.pools) turn_main(server);
    uv_thread_join(&thread);
  } else {
    pools_destroy(server->shared.pools);
  }
  host->release(host);
}

/* What comes now comes too late to change anything. */
static void end_signals(struct server *server) {
  block_signals(SIG_BLOCK);
  for (size_t i = 0; i < SIGNAL_COUNT; i++) uv_close((uv_handle_t *)&server->signals[i], NULL);
}

static bool has_ended(const struct server *server) {
  return server->running == 0 && server->has_loops == server->loops_have_ended;
}

static void finish(struct server *server) {
  close_admin(server);
  background_destroy(server->shared.background);
  end_pools(server);
  end_signals(server);
  server_sockets_finish(&server->sockets);
  route_table_destroy(server->shared.table);
  snapshot_destroy(server->shared.snapshot);
  line_writer_destroy(server->program->process.access_log);
  for (int i = 0; i < server->count; i++) server_thread_finish(&server->threads[i]);
  free(server->threads);
  inbox_finish(&server->shared.inbox);
  timers_finish(&server->timers);
  uv_run(&server->loop, UV_RUN_DEFAULT);
  uv_loop_close(&server->loop);
}

int server_run(struct program *program, const char *dir) {
  struct server server = {.program = program,
                          .count = program->settings.workers,
                          .loops_started = {.deliver = deliver_loops_started},
                          .loops_cleared = {.deliver = deliver_loops_cleared},
                          .loops_ended = {.deliver = deliver_loops_ended},
                          .pools_settled = {.deliver = deliver_pools_settled},
                          .pools_ended = {.deliver = deliver_pools_ended}};
  struct server_shared *shared = &server.shared;
  shared->process = &program->process;
  shared->take_report = take_report;
  shared->snapshot = snapshot_create(dir);
  shared->pools = pools_create(shared->process, shared->snapshot);
  shared->background =
      background_create(shared->process, shared->snapshot, pools_host(shared->pools));
  server.threads = memory_alloc_zero((size_t)server.count * sizeof *server.threads);
  for (int i = 0; i < server.count; i++) server_thread_init(&server.threads[i], shared, i);
  uv_loop_init(&server.loop);
  inbox_init(&shared->inbox, &server.loop, &server);
  timers_init(&server.timers, &server.loop);
  clock_gettime(CLOCK_REALTIME, &server.started);
  server.started_ns = uv_hrtime();
  start_signals(&server);
  if (open_access_log(&server) && open_admin(&server) && bind_sockets(&server) == 0)
    start_thread(&server, &server.threads[0]);
  else
    server.exit_code = 1;
  while (!has_ended(&server)) turn_main(&server);
  int exit_code = server.exit_code;
  log_tasks(&server);
  finish(&server);
  return exit_code;
}
