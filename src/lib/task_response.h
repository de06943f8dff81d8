/* task_response.h - `task.response`: the response of the request that a task belongs to.
 *
 * The agenda keeps it while tasks of the request run; a task that ends takes it along. */
#ifndef LIB_TASK_RESPONSE_H
#define LIB_TASK_RESPONSE_H

#include <lua.h>

struct agenda;
struct task;

/* [owner] The request of the agenda has the response object at `index`. */
void task_response_set(lua_State *L, struct agenda *agenda, int index);

/* [owner] Pushes the response of the task at `index`, or nil: there is none yet. */
void task_response_push(lua_State *L, int index);

/* [owner] The task at `index` is about to end, and not well. */
void task_response_keep(lua_State *L, int index);

/* [owner] The task at 1 of its coroutine has ended well. Raises nothing. */
void task_response_keep_done(lua_State *co, const struct task *task);

#endif
