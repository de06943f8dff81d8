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

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct server {
  struct program *program;
  uv_loop_t loop;
  struct timers timers;
  struct server_signals signals;
  struct server_sockets sockets;
  struct server_generation *generation; /* NULL: none was started */
  struct admin *admin;                  /* NULL: none */
  struct timespec started;              /* on the wall clock */
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

static void begin_end(struct server *server) {
  server->is_ending = true;
  server_sockets_finish(&server->sockets); /* the next server may come already */
}

static void stop(struct server *server) {
  if (!server->is_ending) begin_end(server);
  server_generation_stop(server->generation);
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

/* ---- what the generation tells ---- */

static void take_listening(struct server_generation *generation) {
  const struct server *server = generation->owner;
  const struct program *program = server->program;
  server_sockets_log(&server->sockets, &program->settings, program->process.log, generation->count);
}

static void take_failed(struct server_generation *generation, const char *problem) {
  struct server *server = generation->owner;
  fprintf(stderr, "perilune: %s\n", problem);
  if (!server->is_ending) begin_end(server);
}

/* Hard end of what does not end by itself. */
static void take_stuck(struct server_generation *generation) {
  struct server *server = generation->owner;
  log_write(server->program->process.log, LOG_ERROR, "shutdown timed out: what is left is given up",
            NULL, 0);
  server_generation_log_left(generation);
  end_process(server);
}

static const struct server_generation_calls calls = {
    .listening = take_listening, .failed = take_failed, .stuck = take_stuck};

/* ---- the start ---- */

static bool start_generation(struct server *server, const char *dir) {
  struct program *program = server->program;
  int count = program->settings.workers;
  int *fds = memory_alloc((size_t)count * sizeof *fds);
  uv_err error = server_sockets_bind(&server->sockets, &program->settings, count, fds);
  if (!error) {
    struct server_generation *generation =
        server_generation_create(program, dir, &server->loop, &server->timers);
    generation->calls = &calls;
    generation->owner = server;
    server->generation = generation;
    server_generation_start(generation, fds);
  }
  free(fds);
  return !error;
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
  return server->generation ? server_generation_health(server->generation) : "starting";
}

static void write_metrics(void *context, struct buffer *out) {
  const struct server *server = context;
  if (server->generation) server_generation_write_metrics(server->generation, out);
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
  if (server->generation) server_generation_turn(server->generation);
  timers_run(&server->timers);
  admin_flush(server->admin);
}

static void close_admin(struct server *server) {
  admin_close(server->admin);
  while (!admin_is_closed(server->admin)) turn_main(server);
  admin_destroy(server->admin);
  server->admin = NULL;
}

static void finish(struct server *server) {
  close_admin(server);
  server_signals_end(&server->signals);
  server_sockets_finish(&server->sockets);
  if (server->generation) server_generation_destroy(server->generation);
  line_writer_destroy(server->program->process.access_log);
  timers_finish(&server->timers);
  uv_run(&server->loop, UV_RUN_DEFAULT);
  uv_loop_close(&server->loop);
}

int server_run(struct program *program, const char *dir) {
  struct server server = {.program = program};
  uv_loop_init(&server.loop);
  timers_init(&server.timers, &server.loop);
  clock_gettime(CLOCK_REALTIME, &server.started);
  server.started_ns = uv_hrtime();
  server_signals_start(&server.signals, &server.loop, take_signal, &server);
  bool starts = open_access_log(&server) && open_admin(&server) && start_generation(&server, dir);
  while (starts && !server_generation_is_over(server.generation)) turn_main(&server);
  int exit_code = starts ? server.generation->exit_code : 1;
  finish(&server);
  return exit_code;
}
