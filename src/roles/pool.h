/* pool.h - the pools of an app: threads that run blocking functions, one call at a time each.
 *
 * Threads are started as calls come and end when idle for long. A queue is bounded: a call that
 * finds it full is refused. A call that is cancelled leaves the queue, or is interrupted. */
#ifndef ROLES_POOL_H
#define ROLES_POOL_H

#include "base/histogram.h"
#include "core/call.h"

#include <lua.h>
#include <stdbool.h>

struct clock;
struct inbox;
struct message;
struct pools;
struct process;
struct snapshot;

/* [owner] The pools of the app in `snapshot`: `default` and `tasks`, sized by the settings. No
 * thread runs yet. The caller owns them; process and snapshot outlive them. */
struct pools *pools_create(struct process *process, struct snapshot *snapshot);

/* [owner] The threads are to live on that clock; before the first call. */
void pools_set_clock(struct pools *pools, struct clock *clock);

/* [any thread] Adds a pool or changes its size; before the first call. False: there are POOLS_MAX
 * already. */
bool pools_configure(struct pools *pools, const char *name, int threads_max, int calls_max);

/* [any thread] Whether there is a pool of that name. */
bool pools_have(struct pools *pools, const char *name);

struct pool_figures {
  struct histogram wait; /* from the call to the start of its function */
  struct histogram run;  /* from there to its end */
  uint64_t rejected;     /* calls that found the queue full */
  uint64_t cancelled;    /* calls that were given up in the queue */
  uint64_t replaced;     /* threads whose state had reached its memory limit */
};

struct pool_counts {
  const char *name; /* lives as long as the pools */
  int threads, busy, queued;
  int waiting;        /* of the busy ones: for a call to another pool */
  int lost;           /* of the busy ones: given up, but stuck in C */
  uint64_t lua_bytes; /* of all its threads' states */
  struct pool_figures figures;
};

/* [any thread] What the first `max` pools are doing; gives how many there were. */
size_t pools_count(struct pools *pools, struct pool_counts *out, size_t max);

/* [any thread] Appends the identity of each call that runs or waits, as a text (base/texts.h); it
 * is empty for a function without a mark. */
void pools_list_calls(struct pools *pools, struct buffer *out);

/* [any thread] What marked functions of this app are called through. */
struct call_host *pools_host(struct pools *pools);

/* [any thread] Nobody wants the calls any more that have been made: drops those in queues,
 * interrupts those that run, and posts the message to the inbox (NULL: nobody is told) when all
 * have ended. None may be made until then; further ones are run as before. */
void pools_settle(struct pools *pools, struct inbox *inbox, struct message *message);

/* [any thread] Whether that goes on. */
bool pools_are_settling(struct pools *pools);

/* [any thread] Says in the log which threads still run a call, and where they are if that is known.
 */
void pools_log_running(struct pools *pools);

/* [owner] Refuses new calls, drops queued ones, interrupts running ones and joins all threads; its
 * memory goes with the last mark and call that refer to it. Accepts NULL. */
void pools_destroy(struct pools *pools);

#endif
