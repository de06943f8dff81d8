/* schedule_remote.h - scheduling a task on the event loop of its request, from any other thread.
 *
 * An order travels to the loop and becomes a task there, as if it had been scheduled there; what is
 * given back at once is a handle as other states have it (lib/task_remote.h). Messages keep their
 * order, so an order is there before the result of the call that has given it. */
#ifndef LIB_SCHEDULE_REMOTE_H
#define LIB_SCHEDULE_REMOTE_H

#include "lib/schedule.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;

/* [owner] Sends the function at the absolute index `function` and its arguments above it, with the
 * options at `options` (absolute; 0: none); pushes the handle. Raises kind
 * "transfer" when something cannot cross, "disconnected" when the loop has ended. */
void schedule_remote(lua_State *L, const struct schedule_home *home, enum task_when when,
                     int function, int options);

/* [owner] Whether an order for the task with that id has come to the worker and is not carried out
 * yet. */
bool schedule_remote_expects(struct worker *worker, uint64_t id);

/* [owner] Cancels the task of an order that is not carried out yet, if there is one. */
void schedule_remote_cancel(struct worker *worker, uint64_t id, const char *reason);

/* [owner] Prepares a new state. */
void schedule_remote_open(lua_State *L);

#endif
