/* server.c - serving an app: workers from settings; start, drain, stop.
 *
 * The main thread takes signals and tells the HTTP workers what to do by messages; they answer by
 * messages. The course of a server is the enum phase: each step is taken once, in order, whatever
 * comes when. */
#include "server.h"

#include "admin.h"
#include "base/log.h"
#include "core/error.h"
#include "core/line_writer.h"
#include "core/place.h"
#include "core/require.h"
#include "core/snapshot.h"
#include "core/worker.h"
#include "http/listener.h"
#include "http/unix_socket.h"
#include "lib/spool.h"
#include "program.h"
#include "prometheus.h"
#include "roles/app_pools.h"
#include "roles/http.h"
#include "roles/pool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What an HTTP worker runs while the server stops: nothing else has this id. */
#define STOP_ID UINT64_MAX

/* Two that end the server, and one that opens the access log again, as nginx has it. */
enum { SIGNAL_COUNT = 3 };
static const int signal_numbers[SIGNAL_COUNT] = {SIGINT, SIGTERM, SIGUSR1};

enum phase { PHASE_LOADING, PHASE_SERVING, PHASE_DRAINING, PHASE_STOPPING };
enum report {
  REPORT_OPEN,      /* takes messages */
  REPORT_READY,     /* the app is loaded */
  REPORT_FAILED,    /* or not: thread.problem */
  REPORT_LISTENING, /* connections are accepted */
  REPORT_DRAINED,   /* no connection is left */
  REPORT_ENDED,     /* the thread's last act */
  REPORT_COUNT
};

struct server;

/* A message from a thread to the main thread; one of each kind at most is on its way. */
struct report_message {
  struct message message;
  struct thread *thread;
};

/* One HTTP worker with its thread. */
struct thread {
  struct worker worker;
  struct server *server;
  struct http_service *service;
  int fd;
  char *problem; /* why the app did not load */
  bool draining, drained, stopping;
  struct report_message reports[REPORT_COUNT];
  struct message listen, drain, stop;

  /* the main thread's own */
  bool open, listens, stop_posted;
  uv_thread_t thread;
};

struct server {
  struct program *program;
  struct snapshot *snapshot;
  struct pools *pools;
  struct route_table *table;
  uv_loop_t loop;
  struct inbox inbox;
  struct timers timers;
  struct timer drain_timer, shutdown_timer;
  uv_signal_t signals[SIGNAL_COUNT];
  struct thread *threads;
  int count;   /* of threads */
  int running; /* threads that have been started and have not ended */
  int ready, listening, drained;
  uint16_t port;                  /* of the TCP sockets */
  struct unix_socket unix_socket; /* instead of them, if --unix is given */
  struct admin *admin;            /* NULL: none */
  struct timespec started;        /* on the wall clock */
  uint64_t started_ns;
  struct message pools_ended;
  enum phase phase;
  int exit_code;
};

/* ---- the worker's side ---- */

static struct thread *thread_of(struct worker *worker) {
  return container_of(worker, struct thread, worker);
}

static void send_report(struct thread *thread, enum report report) {
  inbox_post(&thread->server->inbox, &thread->reports[report].message);
}

static void set_problem(struct thread *thread, const char *text) {
  free(thread->problem);
  thread->problem = memory_copy(text, strlen(text));
}

/* Stack: the app. */
static int app_loaded(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct thread *thread = thread_of(worker_of(L));
  struct server *server = thread->server;
  if (!server->table) { /* the first worker; the others start when it is ready */
    server->table = route_table_create(L, 1);
    app_pools_read(L, 1, server->pools);
  }
  thread->service = http_service_create(L, 1, server->table);
  return 0;
}

static int load_app(lua_State *L) {
  require_push_caller(L);
  lua_pushliteral(L, "perilune.load");
  lua_callk(L, 1, 1, 0, app_loaded);
  return app_loaded(L, LUA_OK, 0);
}

static int load_failed(lua_State *L) {
  if (!lua_isstring(L, 1)) {
    const char *dir = snapshot_shown_dir(worker_of(L)->snapshot);
    lua_pushfstring(L, "%s/app.lua raised %s", dir, error_push_text(L, 1));
  }
  set_problem(thread_of(worker_of(L)), lua_tostring(L, -1));
  return 0;
}

static void load_ended(struct fiber *fiber) {
  struct thread *thread = thread_of(fiber->worker);
  place_end_load(fiber->worker->L);
  send_report(thread, thread->service ? REPORT_READY : REPORT_FAILED);
}

static void turn(struct worker *worker) {
  struct thread *thread = thread_of(worker);
  http_turn(worker);
  bool idle = !thread->service || http_service_is_idle(thread->service);
  if (thread->draining && !thread->drained && idle) {
    thread->drained = true;
    send_report(thread, REPORT_DRAINED);
  }
  if (!thread->stopping) return;
  if (list_is_empty(&worker->fibers))
    worker->stopped = idle;
  else
    worker_cancel_all(worker, "the server stops");
}

static const struct worker_role server_role = {.name = "http",
                                               .stalls_matter = true,
                                               .runs_blocking = false,
                                               .begin = http_begin,
                                               .turn = turn};

static void deliver_listen(struct message *message, void *owner) {
  struct thread *thread = container_of(message, struct thread, listen);
  (void)owner;
  uv_err error = http_service_listen(thread->service, thread->fd);
  if (error) {
    set_problem(thread, uv_strerror(error));
    send_report(thread, REPORT_FAILED);
    return;
  }
  send_report(thread, REPORT_LISTENING);
}

static void deliver_drain(struct message *message, void *owner) {
  struct thread *thread = container_of(message, struct thread, drain);
  (void)owner;
  thread->draining = true;
  if (thread->service) http_service_drain(thread->service);
}

static void deliver_stop(struct message *message, void *owner) {
  struct thread *thread = container_of(message, struct thread, stop);
  (void)owner;
  thread->stopping = true;
  if (thread->service) http_service_close(thread->service);
  worker_cancel_all(&thread->worker, "the server stops");
}

static void start_load(struct thread *thread) {
  place_begin_load(thread->worker.L, pools_host(thread->server->pools));
  static const struct fiber_kind kind = {load_app, load_failed, .ended = load_ended};
  struct fiber *fiber = fiber_create(&thread->worker, &kind);
  if (!fiber) {
    set_problem(thread, "not enough memory");
    send_report(thread, REPORT_FAILED);
    return;
  }
  fiber->name = "load";
  fiber_start(fiber, 0);
}

static void run_thread(void *context) {
  struct thread *thread = context;
  struct worker *worker = &thread->worker;
  http_init(worker);
  worker->role = &server_role;
  uv_err error = worker_init(worker);
  if (error) {
    set_problem(thread, uv_strerror(error));
    send_report(thread, REPORT_FAILED);
  } else {
    atomic_store(&worker->heartbeat.call, STOP_ID);
    send_report(thread, REPORT_OPEN);
    start_load(thread);
    worker_run(worker);
    if (thread->service) http_service_destroy(thread->service);
  }
  worker_finish(worker);
  http_finish(worker);
  send_report(thread, REPORT_ENDED);
}

/* ---- the main thread's side ---- */

static void post(struct thread *thread, struct message *message) {
  inbox_post(&thread->worker.inbox, message);
}

static bool is_ending(const struct server *server) {
  return timer_is_started(&server->shutdown_timer);
}

/* Ends with threads running, and without their consent. */
static void end_process(struct server *server) {
  struct line_writer *access_log = server->program->process.access_log;
  if (access_log) line_writer_stop(access_log);
  spool_clear(server->program->process.spool);
  _exit(1);
}

/* Hard end of what does not end by itself. */
static void shutdown_timed_out(struct timer *timer) {
  struct server *server = container_of(timer, struct server, shutdown_timer);
  log_write(server->program->process.log, LOG_ERROR, "shutdown timed out: what is left is given up",
            NULL, 0);
  end_process(server);
}

/* Ends one thread: what still runs is cancelled, the watchdog interrupts what computes. A thread
 * that does not take messages yet is stopped when it reports that it does. */
static void stop_thread(struct thread *thread) {
  if (!thread->open || thread->stop_posted) return;
  thread->stop_posted = true;
  atomic_store(&thread->worker.heartbeat.cancel, STOP_ID);
  post(thread, &thread->stop);
}

static void stop_threads(struct server *server) {
  server->phase = PHASE_STOPPING;
  timer_stop(&server->timers, &server->drain_timer);
  for (int i = 0; i < server->count; i++) stop_thread(&server->threads[i]);
}

static void drain_timed_out(struct timer *timer) {
  struct server *server = container_of(timer, struct server, drain_timer);
  const struct log_field field = log_integer("workers", server->count - server->drained);
  log_write(server->program->process.log, LOG_WARN, "requests in flight are cancelled", &field, 1);
  stop_threads(server);
}

static void drain_threads(struct server *server) {
  server->phase = PHASE_DRAINING;
  uint64_t limit_ns = (uint64_t)server->program->settings.drain_timeout_ms * NS_PER_MS;
  timer_start(&server->timers, &server->drain_timer, uv_hrtime() + limit_ns, drain_timed_out);
  for (int i = 0; i < server->count; i++) post(&server->threads[i], &server->threads[i].drain);
}

/* A signal, or a start that failed: the end begins. Legal in any phase, and twice. */
static void begin_end(struct server *server) {
  if (is_ending(server)) return;
  uint64_t limit_ns = (uint64_t)server->program->settings.shutdown_timeout_ms * NS_PER_MS;
  timer_start(&server->timers, &server->shutdown_timer, uv_hrtime() + limit_ns, shutdown_timed_out);
  unix_socket_finish(&server->unix_socket); /* the next server may come already */
  if (server->phase == PHASE_SERVING)
    drain_threads(server);
  else
    stop_threads(server);
}

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
  begin_end(server);
}

/* They reach the main thread alone: other threads start with them blocked. */
static void block_signals(int how) {
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < SIGNAL_COUNT; i++) sigaddset(&set, signal_numbers[i]);
  pthread_sigmask(how, &set, NULL);
}

static uv_err create_thread(uv_thread_t *thread, void (*entry)(void *context), void *context) {
  block_signals(SIG_BLOCK);
  uv_err error = uv_thread_create(thread, entry, context);
  block_signals(SIG_UNBLOCK);
  return error;
}

static void start_thread(struct server *server, struct thread *thread) {
  uv_err error = create_thread(&thread->thread, run_thread, thread);
  assert(error == 0);
  (void)error;
  server->running++;
}

static void log_listening(const struct server *server) {
  const struct settings *settings = &server->program->settings;
  char url[UNIX_SOCKET_MESSAGE_BYTES];
  if (*settings->unix_path)
    snprintf(url, sizeof url, "unix:%s", settings->unix_path);
  else
    listener_format_url(url, sizeof url, settings->host, server->port);
  const struct log_field fields[] = {log_text("url", url), log_integer("workers", server->count)};
  log_write(server->program->process.log, LOG_INFO, "listening", fields, array_len(fields));
}

static void take_open(struct server *server, struct thread *thread) {
  thread->open = true;
  if (is_ending(server)) stop_thread(thread);
}

static void take_ready(struct server *server) {
  server->ready++;
  if (is_ending(server)) return;
  if (server->ready == 1)
    for (int i = 1; i < server->count; i++) start_thread(server, &server->threads[i]);
  if (server->ready < server->count) return;
  server->phase = PHASE_SERVING;
  for (int i = 0; i < server->count; i++) {
    server->threads[i].listens = true;
    post(&server->threads[i], &server->threads[i].listen);
  }
}

static void take_failed(struct server *server, struct thread *thread) {
  if (!is_ending(server)) {
    fprintf(stderr, "perilune: %s\n", thread->problem);
    server->exit_code = 1;
  }
  begin_end(server);
}

static void deliver_report(struct message *message, void *owner) {
  struct report_message *report = container_of(message, struct report_message, message);
  struct server *server = owner;
  struct thread *thread = report->thread;
  switch ((enum report)(report - thread->reports)) {
  case REPORT_OPEN:
    take_open(server, thread);
    break;
  case REPORT_READY:
    take_ready(server);
    break;
  case REPORT_FAILED:
    take_failed(server, thread);
    break;
  case REPORT_LISTENING:
    if (++server->listening == server->count) log_listening(server);
    break;
  case REPORT_DRAINED:
    if (++server->drained == server->count) stop_threads(server);
    break;
  case REPORT_ENDED:
    server->running--;
    uv_thread_join(&thread->thread);
    break;
  case REPORT_COUNT:
    break;
  }
}

static void init_thread(struct server *server, struct thread *thread) {
  thread->worker.index = (int)(thread - server->threads);
  thread->server = server;
  thread->listen.deliver = deliver_listen;
  thread->drain.deliver = deliver_drain;
  thread->stop.deliver = deliver_stop;
  for (size_t i = 0; i < array_len(thread->reports); i++)
    thread->reports[i] =
        (struct report_message){.message = {.deliver = deliver_report}, .thread = thread};
  thread->worker.process = &server->program->process;
  thread->worker.snapshot = server->snapshot;
}

static uv_err bind_tcp(struct server *server) {
  const struct settings *settings = &server->program->settings;
  char message[LISTENER_MESSAGE_BYTES];
  int *fds = memory_alloc((size_t)server->count * sizeof *fds);
  uv_err error = listener_bind(settings->host, (uint16_t)settings->port, server->count, fds,
                               &server->port, message);
  if (error) fprintf(stderr, "perilune: %s\n", message);
  for (int i = 0; i < server->count && !error; i++) server->threads[i].fd = fds[i];
  free(fds);
  return error;
}

static uv_err bind_unix(struct server *server) {
  const struct settings *settings = &server->program->settings;
  char message[UNIX_SOCKET_MESSAGE_BYTES];
  uv_err error = unix_socket_bind(&server->unix_socket, settings->unix_path,
                                  (mode_t)settings->unix_mode, settings->backlog, message);
  if (error) fprintf(stderr, "perilune: %s\n", message);
  for (int i = 0; i < server->count && !error; i++) {
    int fd = fcntl(server->unix_socket.fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) error = uv_translate_sys_error(errno);
    if (error) fprintf(stderr, "perilune: cannot listen: %s\n", uv_strerror(error));
    server->threads[i].fd = fd;
  }
  return error;
}

static uv_err bind_sockets(struct server *server) {
  return *server->program->settings.unix_path ? bind_unix(server) : bind_tcp(server);
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
  prometheus_write_pools(out, server->pools);
  const struct prometheus_process process = {
      .started = server->started,
      .started_ns = server->started_ns,
      .access_log = server->program->process.access_log,
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
  inbox_drain(&server->inbox);
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
  ((struct server *)owner)->pools = NULL;
}

static void destroy_pools(void *context) {
  struct server *server = context;
  pools_destroy(server->pools);
  inbox_post(&server->inbox, &server->pools_ended);
}

/* A pool's thread in a C function may take its time: a thread waits for it, so that signals and the
 * limit of the shutdown still count here. */
static void end_pools(struct server *server) {
  uv_thread_t thread;
  server->pools_ended.deliver = deliver_pools_ended;
  if (create_thread(&thread, destroy_pools, server) != 0) {
    pools_destroy(server->pools);
    return;
  }
  while (server->pools) turn_main(server);
  uv_thread_join(&thread);
}

/* What comes now comes too late to change anything. */
static void end_signals(struct server *server) {
  block_signals(SIG_BLOCK);
  for (size_t i = 0; i < SIGNAL_COUNT; i++) uv_close((uv_handle_t *)&server->signals[i], NULL);
}

static void finish(struct server *server) {
  close_admin(server);
  end_pools(server);
  end_signals(server);
  unix_socket_finish(&server->unix_socket);
  route_table_destroy(server->table);
  snapshot_destroy(server->snapshot);
  line_writer_destroy(server->program->process.access_log);
  for (int i = 0; i < server->count; i++) {
    free(server->threads[i].problem);
    if (server->threads[i].fd > 0 && !server->threads[i].listens) close(server->threads[i].fd);
  }
  free(server->threads);
  inbox_finish(&server->inbox);
  timers_finish(&server->timers);
  uv_run(&server->loop, UV_RUN_DEFAULT);
  uv_loop_close(&server->loop);
}

int server_run(struct program *program, const char *dir) {
  struct server server = {.program = program, .count = program->settings.workers};
  server.snapshot = snapshot_create(dir);
  server.pools = pools_create(&program->process, server.snapshot);
  server.threads = memory_alloc_zero((size_t)server.count * sizeof(struct thread));
  for (int i = 0; i < server.count; i++) init_thread(&server, &server.threads[i]);
  uv_loop_init(&server.loop);
  inbox_init(&server.inbox, &server.loop, &server);
  timers_init(&server.timers, &server.loop);
  clock_gettime(CLOCK_REALTIME, &server.started);
  server.started_ns = uv_hrtime();
  start_signals(&server);
  if (open_access_log(&server) && open_admin(&server) && bind_sockets(&server) == 0)
    start_thread(&server, &server.threads[0]);
  else
    server.exit_code = 1;
  while (server.running > 0) turn_main(&server);
  int exit_code = server.exit_code;
  finish(&server);
  return exit_code;
}
