/* server.c - serving an app: sockets, signals, the admin endpoint, and the main thread's loop.
 *
 * What is loaded of the app and runs is a generation (server_generation.c); here is what belongs to
 * the process. */
#include "server.h"

#include "admin.h"
#include "base/log.h"
#include "core/line_writer.h"
#include "core/log_writer.h"
#include "lib/spool.h"
#include "program.h"
#include "prometheus.h"
#include "server_generation.h"
#include "server_signals.h"
#include "server_sockets.h"
#include "server_watch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct server {
  struct program *program;
  const struct server_develop *develop; /* NULL: the app is only served */
  const char *dir;
  uv_loop_t loop;
  struct timers timers;
  struct server_signals signals;
  struct server_sockets sockets;
  int *fds;                          /* the sockets, one for each worker */
  struct list generations;           /* server_generation.link */
  struct server_generation *current; /* the one that serves; NULL: none */
  struct server_generation *next;    /* the one that is to serve, and loads; NULL: none */
  struct server_watch watch;
  struct server_generation *leaving; /* the one that still accepts beside the current one */
  bool was_listening;
  struct admin *admin;     /* NULL: none */
  struct timespec started; /* on the wall clock */
  uint64_t started_ns;
  bool is_ending;
  int exit_code;
};

/* ---- the end ---- */

/* Ends with threads running, and without their consent. */
static void end_process(struct server *server) {
  struct line_writer *access_log = server->program->process.access_log;
  if (access_log) line_writer_stop(access_log);
  spool_clear(server->program->process.spool);
  log_writer_stop(server->program->log_writer);
  _exit(1);
}

/* The next server may come already. */
static void close_sockets(struct server *server) {
  for (int i = 0; server->fds && i < server->program->settings.workers; i++) close(server->fds[i]);
  free(server->fds);
  server->fds = NULL;
  server_sockets_finish(&server->sockets);
}

static void begin_end(struct server *server) {
  server->is_ending = true;
  server_watch_stop(&server->watch);
  close_sockets(server);
}

/* While an app is being developed nobody waits for answers. */
static void stop(struct server *server) {
  if (!server->is_ending) begin_end(server);
  for (struct list *link = server->generations.next; link != &server->generations;
       link = link->next) {
    struct server_generation *generation = container_of(link, struct server_generation, link);
    server_generation_stop(generation);
    if (server->develop) server_generation_hurry(generation);
  }
}

/* Hard end of what does not end by itself; of an earlier version only when the server ends. */
static void take_stuck(struct server_generation *generation) {
  struct server *server = generation->owner;
  log_write(server->program->process.log, LOG_ERROR, "shutdown timed out: what is left is given up",
            NULL, 0);
  server_generation_log_left(generation);
  generation->is_stuck = true;
  if (server->is_ending) end_process(server);
}

/* Frees generations that are over. */
static void sweep(struct server *server) {
  struct list *next;
  for (struct list *link = server->generations.next; link != &server->generations; link = next) {
    next = link->next;
    struct server_generation *generation = container_of(link, struct server_generation, link);
    if (!server_generation_is_over(generation)) continue;
    bool counts = !server->develop || (server->is_ending && generation->is_overdue);
    if (counts && generation->exit_code) server->exit_code = generation->exit_code;
    if (server->current == generation) server->current = NULL;
    if (server->leaving == generation) server->leaving = NULL;
    list_remove(&generation->link);
    server_generation_destroy(generation);
  }
}

static bool is_over(const struct server *server) {
  if (server->develop && !server->is_ending) return false;
  for (const struct list *link = server->generations.next; link != &server->generations;
       link = link->next)
    if (!container_of(link, const struct server_generation, link)->is_stuck) return false;
  return true;
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
  if (server->is_ending) end_process(server); /* the second signal */
  const struct log_field field = log_text("signal", number == SIGINT ? "SIGINT" : "SIGTERM");
  log_write(server->program->process.log, LOG_INFO, "stopping", &field, 1);
  stop(server);
}

/* ---- generations ---- */

static void take_listening(struct server_generation *generation) {
  struct server *server = generation->owner;
  const struct program *program = server->program;
  struct server_generation *before = server->current;
  if (server->is_ending || generation != server->next) return;
  server->current = generation;
  server->next = NULL;
  if (!server->was_listening)
    server_sockets_log(&server->sockets, &program->settings, program->process.log,
                       generation->count);
  server->was_listening = true;
  server->leaving = before;
  if (before) server_generation_yield(before, generation);
}

/* Connections reach the new generation alone from now on. */
static void take_closed(struct server_generation *generation) {
  struct server *server = generation->owner;
  if (server->is_ending || generation != server->leaving) return;
  server->leaving = NULL;
  if (server->current && !server->current->load_error)
    log_write(server->program->process.log, LOG_INFO, "reloaded", NULL, 0);
}

static void start_next(struct server *server, const char *load_error, struct slice app_settings);

/* The newest version does not load: the last good one goes on and says so, or the error alone is
 * served. */
static void show_problem(struct server *server, const char *problem) {
  fprintf(stderr, "perilune: %s\n", problem);
  if (server->current && !server->current->load_error)
    server_generation_notify(server->current, problem);
  else
    start_next(server, problem, server->program->process.app_settings);
}

static void take_failed(struct server_generation *generation, const char *problem) {
  struct server *server = generation->owner;
  if (server->is_ending || generation != server->next) return;
  server->next = NULL;
  if (server->develop && !generation->load_error) {
    show_problem(server, problem);
    return;
  }
  fprintf(stderr, "perilune: %s\n", problem);
  if (!server->develop) begin_end(server);
}

static const struct server_generation_calls calls = {
    .listening = take_listening, .closed = take_closed, .failed = take_failed, .stuck = take_stuck};

/* The sockets stay the process's, for generations to come. */
static void start_next(struct server *server, const char *load_error, struct slice app_settings) {
  struct program *program = server->program;
  struct server_generation *generation =
      server_generation_create(program, server->dir, &server->loop, &server->timers, load_error);
  int count = program->settings.workers;
  int *fds = memory_alloc((size_t)count * sizeof *fds);
  for (int i = 0; i < count; i++) fds[i] = fcntl(server->fds[i], F_DUPFD_CLOEXEC, 0);
  generation->calls = &calls;
  generation->owner = server;
  server_generation_configure(generation, app_settings);
  list_push(&server->generations, &generation->link);
  server->next = generation;
  server_generation_start(generation, fds);
  free(fds);
}

/* The files have changed: a version that is still being loaded is out of date. */
static void reload(struct server_watch *watch) {
  struct server *server = watch->owner;
  struct buffer app_settings = {0}, problem = {0};
  if (server->next) server_generation_stop(server->next);
  server->next = NULL;
  if (server->develop->read_settings(server->develop->context, &app_settings, &problem)) {
    start_next(server, NULL, (struct slice){app_settings.data, app_settings.len});
  } else {
    buffer_add_byte(&problem, '\0');
    show_problem(server, problem.data);
  }
  buffer_finish(&app_settings);
  buffer_finish(&problem);
}

/* ---- the start ---- */

static bool start(struct server *server) {
  struct program *program = server->program;
  int count = program->settings.workers;
  server->fds = memory_alloc((size_t)count * sizeof *server->fds);
  if (server_sockets_bind(&server->sockets, &program->settings, count, server->fds) != 0) {
    free(server->fds);
    server->fds = NULL;
    return false;
  }
  if (server->develop) {
    server->watch.changed = reload;
    server->watch.owner = server;
    server_watch_start(&server->watch, &server->loop, &server->timers, server->dir);
  }
  start_next(server, NULL, program->process.app_settings);
  return true;
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

/* The generation that serves, or is to. */
static const struct server_generation *find_shown(const struct server *server) {
  return server->current ? server->current : server->next;
}

static const char *tell_health(void *context) {
  const struct server_generation *generation = find_shown(context);
  return generation ? server_generation_health(generation) : "starting";
}

static void write_metrics(void *context, struct buffer *out) {
  const struct server *server = context;
  const struct server_generation *generation = find_shown(server);
  if (generation) server_generation_write_metrics(generation, out);
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

static void turn_main(struct server *server) {
  timers_arm(&server->timers);
  uv_run(&server->loop, UV_RUN_ONCE);
  for (struct list *link = server->generations.next; link != &server->generations;
       link = link->next)
    server_generation_turn(container_of(link, struct server_generation, link));
  timers_run(&server->timers);
  sweep(server);
  admin_flush(server->admin);
}

static void close_admin(struct server *server) {
  admin_close(server->admin);
  while (!admin_is_closed(server->admin)) turn_main(server);
  admin_destroy(server->admin);
  server->admin = NULL;
}

static void finish(struct server *server) {
  if (!server->is_ending) begin_end(server);
  close_admin(server);
  server_signals_end(&server->signals);
  line_writer_destroy(server->program->process.access_log);
  timers_finish(&server->timers);
  uv_run(&server->loop, UV_RUN_DEFAULT);
  uv_loop_close(&server->loop);
}

int server_run(struct program *program, const char *dir, const struct server_develop *develop) {
  struct server server = {.program = program, .dir = dir, .develop = develop};
  list_init(&server.generations);
  uv_loop_init(&server.loop);
  timers_init(&server.timers, &server.loop);
  clock_gettime(CLOCK_REALTIME, &server.started);
  server.started_ns = uv_hrtime();
  server_signals_start(&server.signals, &server.loop, take_signal, &server);
  bool starts = open_access_log(&server) && open_admin(&server) && start(&server);
  while (starts && !is_over(&server)) turn_main(&server);
  if (!list_is_empty(&server.generations)) end_process(&server);
  finish(&server);
  return starts ? server.exit_code : 1;
}
