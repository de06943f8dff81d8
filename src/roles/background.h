/* background.h - the background loops of an app: a thread with a worker for each name.
 *
 * A loop runs the calls of background functions, many at once, in the order they were made. It
 * loads the app and runs its hooks before the first call; it ends with its hooks on_stop. What is
 * begun here (start, settle, stop) goes on by itself; a message tells the end of it. */
#ifndef ROLES_BACKGROUND_H
#define ROLES_BACKGROUND_H

#include "core/call.h"

#include <lua.h>
#include <stdbool.h>

struct background;
struct clock;
struct inbox;
struct message;
struct process;
struct snapshot;

/* [owner] The loops of the app in `snapshot`, none so far; blocking functions that run on them are
 * called through `pools`, whose marks get to know of the loops. The caller owns them; process,
 * snapshot and pools outlive them. */
struct background *background_create(struct process *process, struct snapshot *snapshot,
                                     struct call_host *pools);

/* [owner] The loops are to live on that clock; before they are started. */
void background_set_clock(struct background *background, struct clock *clock);

/* [owner] Adds the loops that this state knows; before they are started. */
void background_read(lua_State *L, struct background *background);

/* [any thread] Starts all loops; the message (its inbox may be NULL here and below: nobody is told)
 * is posted when each is ready or has failed. Once. */
void background_start(struct background *background, struct inbox *inbox, struct message *message);

/* [any thread] Cancels what runs on the loops, and refuses calls; the message is posted when
 * nothing runs any more. */
void background_settle(struct background *background, struct inbox *inbox, struct message *message);

/* [any thread] Takes calls again. */
void background_resume(struct background *background);

/* [any thread] Cancels what still runs on loops that settle or end, shielded or not. */
void background_interrupt(struct background *background);

/* [any thread] The workers of the first `max` loops; gives how many loops there are. */
size_t background_workers(struct background *background, const struct worker **out, size_t max);

/* [any thread] Ends all loops: what runs is cancelled, the hooks on_stop run; the message is posted
 * when all threads have come to their end. Legal at any time; once. */
void background_stop(struct background *background, struct inbox *inbox, struct message *message);

/* [any thread] Whether what was begun last still goes on. */
bool background_is_busy(struct background *background);

#define BACKGROUND_PROBLEM_BYTES 1024

/* [any thread] Copies why a loop did not start, or did not end well, and gives true; false when
 * nothing went wrong. */
bool background_problem(struct background *background, char *text, size_t size);

struct background_counts {
  const char *name; /* lives as long as the loops */
  int calls;        /* unfinished */
  uint64_t refused;
  uint64_t lua_bytes;
};

/* [any thread] What the first `max` loops are doing; gives how many there were. */
size_t background_count(struct background *background, struct background_counts *out, size_t max);

/* [owner] Ends what has not ended and joins all threads; its memory goes with the pools, and the
 * last mark and call that refer to it. Accepts NULL. */
void background_destroy(struct background *background);

#endif
