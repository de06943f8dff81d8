/* background_loop.h - one background loop: its thread, and what it is told.
 *
 * What is here is for background.c, which owns the loops; both look at them under the lock of all
 * loops. A loop is told by one message, at most once on its way, to look at what has changed. */
#ifndef ROLES_BACKGROUND_LOOP_H
#define ROLES_BACKGROUND_LOOP_H

#include "core/call.h"
#include "core/worker.h"

#include <stdbool.h>

/* Whom to tell when something has come to its end. */
struct background_report {
  struct inbox *inbox; /* NULL: nobody */
  struct message *message;
  bool is_awaited;
};

struct background {
  struct call_host host;
  _Atomic(unsigned) references; /* the owner's, and those of calls and marks */
  struct process *process;
  struct snapshot *snapshot;
  struct clock *clock; /* that the loops live on; NULL: real time */
  struct call_host *pools;
  uv_mutex_t lock; /* guards all below, what loops say so and the guarded part of calls; an inbox's
                      lock may be taken inside it, nothing else */
  struct list loops; /* loop.link */
  uint64_t call_count;
  struct background_report report; /* of what was begun last */
  bool refuses;                    /* calls, until resumed */
  bool stopping;
};

enum background_step { LOOP_BEGINNING, LOOP_READY, LOOP_ENDING, LOOP_ENDED };

struct background_loop {
  struct list link; /* background.loops */
  struct background *background;
  char *name;
  struct worker worker;
  uv_thread_t thread;

  /* under the lock */
  struct list queue;    /* call.link: not started */
  struct list running;  /* call.link */
  struct list unwanted; /* call.link: running, and to be cancelled */
  int calls;            /* unfinished */
  uint64_t refused;
  bool has_thread; /* to be joined */
  bool starting;   /* until it is ready, or has failed */
  bool gone;       /* nothing is left but to join its thread */
  bool open;       /* its inbox takes messages */
  bool woken;      /* the message is on its way */
  bool cancels;    /* all calls, with the message */
  bool settles;    /* until nothing runs */
  bool stops;      /* it is told to end; further calls are refused */
  bool overdue;    /* what is left is interrupted, shielded or not */
  char *problem;   /* what went wrong first, owned */

  /* the loop's own */
  enum background_step step;
  bool has_started; /* its hooks on_start have run, so on_stop are to be run */
  bool is_starting, settling, stopping;
  int app; /* registry reference */
  struct message wake;
};

/* [owner] Starts its thread. Under the lock. */
void background_loop_start(struct background_loop *loop);

/* [any thread] Makes it look at what has changed; `cancels`: something that runs, even if it
 * computes. Under the lock. */
void background_loop_wake(struct background_loop *loop, bool cancels);

/* [any thread] Gives back the calls that have not been started. Under the lock. */
void background_loop_refuse_queued(struct background_loop *loop);

/* [any thread] Tells who waits for it when what was begun has come to its end. Under the lock. */
void background_loop_report(struct background *background);

#endif
