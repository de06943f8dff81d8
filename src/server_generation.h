/* server_generation.h - an app as it was loaded once: its HTTP workers, pools and loops, from their
 * start to their end.
 *
 * `serve` has one; `dev` one for each state of the files, of which the last that has loaded serves,
 * while those before it come to their end. All of it belongs to the main thread and goes on in its
 * turns: messages of threads are delivered by server_generation_turn. */
#ifndef SERVER_GENERATION_H
#define SERVER_GENERATION_H

#include "base/buffer.h"
#include "core/timer.h"
#include "server_thread.h"

#include <stdbool.h>

struct program;
struct server_generation;

/* What a generation tells of itself, in the main thread's turns. */
struct server_generation_calls {
  /* Connections are accepted. */
  void (*listening)(struct server_generation *generation);
  /* They are no more; others may be by now. */
  void (*closed)(struct server_generation *generation);
  /* It could not be started, and ends; once. */
  void (*failed)(struct server_generation *generation, const char *problem);
  /* Its end has taken too long, and what was interrupted has not ended either. */
  void (*stuck)(struct server_generation *generation);
};

enum server_phase {
  PHASE_LOADING,
  PHASE_SERVING,
  PHASE_DRAINING,  /* what is in flight is answered */
  PHASE_STOPPING,  /* what still runs in the workers is cancelled */
  PHASE_CLEARING,  /* what still runs on the background loops is cancelled */
  PHASE_SETTLING,  /* what still runs in the pools comes to its end */
  PHASE_CLOSING,   /* on_stop, and the end of the first worker */
  PHASE_ENDING,    /* on_stop of the background loops, and their end */
  PHASE_RELEASING, /* the end of the pools' threads */
  PHASE_OVER
};

struct server_generation {
  struct list link; /* server.generations */
  struct server_shared shared;
  struct program *program;
  struct process process;     /* the program's, with the app's settings of this generation */
  struct buffer app_settings; /* process.app_settings */
  char *load_error;           /* what is shown in place of the app; NULL: the app is served */
  uv_loop_t *loop;
  struct timers *timers;
  const struct server_generation_calls *calls;
  void *owner;
  struct timer drain_timer, shutdown_timer;
  struct server_thread *threads;
  int count;   /* of threads */
  int running; /* threads that have been started and have not ended */
  int ready, listening, closed, drained;
  bool drain_is_over; /* or its time is */
  bool loops_are_clear, pools_are_settled;
  bool has_loops, loops_have_ended; /* their start has been begun; they are no more */
  bool was_posted;                  /* releaser runs, or has run */
  uv_thread_t releaser;
  struct message loops_started, loops_cleared, loops_ended, pools_settled, pools_ended;
  enum server_phase phase;
  bool is_ending;
  bool is_stuck;   /* set by the owner: it is not waited for */
  bool is_overdue; /* the shutdown has taken too long: what was left has been interrupted */
  uint64_t stopped_ns, waited_ns; /* when the end began, and how long the workers have taken */
  int exit_code;
};

/* [owner] A generation of the app in `dir`; nothing runs yet. With an error (may be NULL) it serves
 * that in place of the app. */
struct server_generation *server_generation_create(struct program *program, const char *dir,
                                                   uv_loop_t *loop, struct timers *timers,
                                                   const char *load_error);

/* [owner] Gives it settings of the app (encoded) of its own; before its start. */
void server_generation_configure(struct server_generation *generation, struct slice app_settings);

/* [owner] Shows an error of a newer version in its responses. */
void server_generation_notify(const struct server_generation *generation, const char *text);

/* [owner] Begins its end, as server_generation_stop; its idle connections go to the other one,
 * which is listening. */
void server_generation_yield(struct server_generation *generation,
                             const struct server_generation *successor);

/* [owner] What still drains is not waited for any longer. */
void server_generation_hurry(struct server_generation *generation);

/* [owner] Starts it; it takes over the bound sockets, one for each of its workers. */
void server_generation_start(struct server_generation *generation, const int *fds);

/* [owner] Delivers what its threads have sent. */
void server_generation_turn(struct server_generation *generation);

/* [owner] Begins its end: what is in flight is answered, tasks are cancelled or waited for, hooks
 * run, as at the end of a server. Legal at any time, and twice. */
void server_generation_stop(struct server_generation *generation);

/* [owner] Whether the end has begun; whether nothing of it is left. */
bool server_generation_is_ending(const struct server_generation *generation);
bool server_generation_is_over(const struct server_generation *generation);

/* [owner] "ok", "starting" or "draining". */
const char *server_generation_health(const struct server_generation *generation);

/* [owner] Logs what runs in its pools and has become of its tasks: it is about to be left behind.
 */
void server_generation_log_left(const struct server_generation *generation);

/* [owner] Writes the metrics of its workers, pools and loops. */
void server_generation_write_metrics(const struct server_generation *generation,
                                     struct buffer *out);

/* [owner] Frees one that is over, or was never started. */
void server_generation_destroy(struct server_generation *generation);

#endif
