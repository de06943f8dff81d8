/* server_thread.h - one HTTP worker of a server, with its thread.
 *
 * It loads the app and runs the hooks of the start. Then the main thread tells it what to do by
 * messages; it answers by reports, which come out on the main thread. What is done once per process
 * (on_start, every, on_stop) is done by the first thread. */
#ifndef SERVER_THREAD_H
#define SERVER_THREAD_H

#include "core/inbox.h"
#include "core/worker.h"

#include <stdbool.h>

struct background;
struct http_service;
struct pools;
struct route_table;
struct server_thread;

enum server_report {
  SERVER_OPEN,      /* takes messages */
  SERVER_LOADED,    /* of the first: the app is loaded; the loops are next, then its on_start */
  SERVER_READY,     /* the app is loaded, and its hooks have run */
  SERVER_FAILED,    /* or not: thread.problem */
  SERVER_LISTENING, /* connections are accepted */
  SERVER_CLOSED,    /* none are accepted any more */
  SERVER_DRAINED,   /* no connection is left */
  SERVER_QUIET,     /* of the first: nothing runs any more, and it waits to be closed */
  SERVER_ENDED,     /* the thread's last act */
  SERVER_REPORT_COUNT
};

/* What the threads of a server share. */
struct server_shared {
  struct process *process;
  struct snapshot *snapshot;
  struct pools *pools;
  struct background *background;
  struct route_table *table; /* made by the first thread; the others start when it is ready */
  const char *load_error;    /* served in place of the app, which does not load; NULL: the app is */
  struct inbox inbox;        /* of the main thread */
  /* What takes reports, on the main thread. */
  void (*take_report)(struct server_shared *shared, struct server_thread *thread,
                      enum server_report report);
};

/* A message from a thread to the main thread; one of each kind at most is on its way. */
struct server_report_message {
  struct message message;
  struct server_thread *thread;
};

struct server_thread {
  struct worker worker;
  struct server_shared *shared;
  struct http_service *service;
  int fd;           /* the bound socket */
  int app;          /* registry reference */
  int step;         /* of the start, or the last one: enum step in server_thread.c */
  bool step_done;   /* it has come to its end, and not failed */
  char *problem;    /* why a step failed, owned */
  bool has_started; /* on_start is over, so on_stop is to be run */
  bool stop_failed; /* and that failed */
  bool draining, drained, stopping, quiet, may_end;
  struct server_report_message reports[SERVER_REPORT_COUNT];
  _Atomic(bool) overdue; /* what is left is to be interrupted, shielded or not */
  struct message proceed, listen, drain, stop, interrupt, close;
  struct notice *notice; /* shown in responses; NULL: none */
  uint64_t successor;    /* number of the worker that idle connections go to; 0: they are closed */

  /* the main thread's own */
  bool open, listens, stop_posted, reported_quiet;
  uv_thread_t thread;
};

/* [owner] Prepares a zeroed thread; nothing runs yet. */
void server_thread_init(struct server_thread *thread, struct server_shared *shared, int index);

/* [owner] The body of the thread. */
void server_thread_run(void *context);

/* [owner] Lets the first thread, whose app is loaded, go on with its start. */
void server_thread_proceed(struct server_thread *thread);

/* [owner] Lets it accept connections on its socket, which it takes over. */
void server_thread_listen(struct server_thread *thread);

/* [owner] Lets it accept no more, and answer what is in flight. */
void server_thread_drain(struct server_thread *thread);

/* [owner] Shows an error of a newer version in its responses. */
void server_thread_notify(struct server_thread *thread, const char *text);

/* [owner] Lets it hand its idle connections to another thread when it drains; before that. */
void server_thread_succeed(struct server_thread *thread, const struct server_thread *successor);

/* [owner] Ends it: what still runs and is not shielded is cancelled, the watchdog interrupts what
 * computes. One that does not take messages yet is left alone: it is to be stopped when it reports
 * that it does. */
void server_thread_stop(struct server_thread *thread);

/* [owner] Cancels what still runs in one that was to end, shielded or not. Once. */
void server_thread_interrupt(struct server_thread *thread);

/* [owner] Lets the first thread, which is quiet, run on_stop if on_start was run, and end. */
void server_thread_close(struct server_thread *thread);

/* [owner] Frees what it owns, once it has ended or was never run. */
void server_thread_finish(struct server_thread *thread);

#endif
