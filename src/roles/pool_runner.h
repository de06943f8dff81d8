/* pool_runner.h - one thread of a pool: a worker that runs one call at a time.
 *
 * What is here is for pool.c, which owns the queues; both look at them under the lock of the pools.
 * A runner that has ended a call takes the next one itself, or becomes idle. */
#ifndef ROLES_POOL_RUNNER_H
#define ROLES_POOL_RUNNER_H

#include "core/call.h"
#include "core/worker.h"
#include "roles/pool.h"

#include <stdbool.h>

struct pool {
  struct list link; /* pools.pools */
  char *name;
  int index; /* of its bit in call.chain */
  int threads_max, calls_max;
  int threads; /* all of them: those that wait and those that are idle too */
  int waiting; /* threads that wait for a call to another pool */
  int lost;    /* threads whose call is given up and stuck in C */
  int queued;
  bool goes_on;      /* as the last look for circles found it */
  struct list queue; /* call.link */
  struct list idle;  /* runner.idle */
  struct pool_figures figures;
};

struct pools {
  struct call_host host;
  _Atomic(unsigned) references; /* the owner's, and those of calls and marks */
  struct process *process;
  struct snapshot *snapshot;
  struct clock *clock; /* that the threads live on; NULL: real time */
  uv_mutex_t lock;   /* guards all below, runner.idle and the guarded part of calls; an inbox's lock
                        may be taken inside it, nothing else */
  struct inbox *due; /* its owner is to be woken once the lock is released; or NULL */
  struct list pools; /* pool.link */
  struct list runners; /* runner.link, also those whose thread has ended */
  int pool_count;
  uint64_t call_count;
  struct inbox *settled_inbox; /* of who waits for the end of all calls; NULL: nobody */
  struct message *settled;
  bool settling; /* what has been called is not wanted any more: pools_settle */
  bool stopping;
};

/* One thread of a pool. */
struct runner {
  struct list link;   /* pools.runners */
  struct list idle;   /* pool.idle */
  struct list nested; /* call.nested: what its call waits for; under the lock */
  int waits;          /* how many of these it does not run itself; under the lock */
  bool goes_on;       /* as the last look for circles found it; under the lock */
  struct worker worker;
  struct pools *pools;
  struct pool *pool;
  struct call *assigned; /* under the lock: what it is to run, or runs */
  struct call *call;     /* the same, once this thread knows */
  struct call_run *run;  /* of the call that has been started */
  bool started;          /* the call's fiber has been started */
  bool ended;            /* the call's fiber has ended; what it left behind may still live */
  bool loading;          /* until the app has loaded and on_state has run; written under the lock */
  bool loaded;           /* or not, then there is load_problem; and nothing of that is left */
  bool open;             /* its inbox takes messages; under the lock */
  bool left;             /* it is none of its pool's threads any more; under the lock */
  bool full;             /* its state is at the memory limit: it leaves after its call */
  bool lost;             /* counted in pool.lost; under the lock */
  bool gone;             /* nothing is left but to join its thread; under the lock */
  struct buffer load_problem;
  struct stuck_report *stuck; /* where its call is, when it is known; under the lock, owned */
  char title[64];
  struct message wake, stop; /* posted at most once at a time each */
  struct timer idle_timer;
  uv_thread_t thread;
};

/* [any thread] Releases the lock of the pools, and wakes who has got a message under it. */
void pool_runner_unlock(struct pools *pools);

/* [any thread] Starts a thread of the pool with its first call. Under the lock. */
uv_err pool_runner_start(struct pools *pools, struct pool *pool, struct call *call);

/* [any thread] Starts a thread with the call that has been in the queue for longest, if there is
 * one. Under the lock. */
void pool_runner_start_queued(struct pools *pools, struct pool *pool);

/* [any thread] Ends an idle runner: it is none of its pool's any more. Under the lock. */
void pool_runner_retire(struct runner *runner);

/* [any thread] Hands a call to an idle runner. Under the lock. */
void pool_runner_hand_over(struct runner *runner, struct call *call);

/* [any thread] Tells the thread that runs the call that nobody wants it any more: by a message if
 * it waits, by the watchdog if it computes. A thread that is still being set up, or loads the app,
 * looks before it starts the call; a load goes on unless all calls are ended. Under the lock. */
void pool_runner_cancel(struct runner *runner, struct call *call);

/* [any thread] Ends a runner: an idle one leaves, a call that runs is interrupted. Once; under the
 * lock. */
void pool_runner_stop(struct runner *runner);

/* [any thread] Ends the settling if no call runs or waits any more. Under the lock. */
void pool_runner_end_settling(struct pools *pools);

/* [any thread] Gives back what waits in a queue, not run. Under the lock. */
void pool_runner_refuse_queued(struct pool *pool);

#endif
