/* task.h - tasks: fibers with a handle in Lua, to wait for, to cancel and to ask.
 *
 * The handle keeps function, arguments, results or error; it lives as long as Lua wants, at least
 * as long as the fiber. When tasks start is schedule.h's business. */
#ifndef LIB_TASK_H
#define LIB_TASK_H

#include "base/list.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#define CLASS_TASK "perilune.task"

/* The pool of scheduled blocking functions that name none. */
#define TASK_POOL "tasks"

struct agenda;
struct fiber;
struct task_options;

enum task_status { TASK_WAITING, TASK_RUNNING, TASK_DONE, TASK_FAILED, TASK_CANCELLED };

/* The handle: a userdata. Its user values: function; results or error; the function that made it,
 * or the traceback of its error, or the response of its request once it is done; behind them its
 * arguments, and if it has either, its options and the call of a blocking function as it was at
 * first. */
struct task {
  struct fiber *fiber; /* NULL once it has ended */
  struct agenda
      *agenda;         /* a reference, until it has ended: of the request it belongs to; or NULL */
  struct list groups;  /* member.in_task; none: its errors are logged */
  struct list waiting; /* fiber.link of those in task:wait() */
  uint64_t id;         /* made when asked for */
  int nargs;
  int line;         /* where it was made, in the function that made it; 0: unknown */
  uint32_t attempt; /* the run that it is in, or was in last; 0: none has begun */
  uint8_t status;   /* enum task_status */
  bool waits : 1;   /* for its point in the agenda */
  bool scheduled : 1, late : 1, dropped : 1, has_box : 1, has_options : 1;
  bool has_error : 1; /* which may be nil */
  bool is_joined : 1; /* it brought errors of others along: children.h */
  bool has_begun : 1; /* its fiber has; it may still wait for its delay */
  bool has_event : 1; /* `started` was asked for before it was set */
  bool has_copy : 1;  /* of the call of a blocking function, for further ones */
  bool has_on_cancel : 1, shielded : 1;
  bool was_read : 1;   /* its error has been asked for, or was told to who waits for it */
  uint8_t outcome : 2; /* enum task_outcome */
};

enum {
  TASK_VALUE_FUNCTION = 1,
  TASK_VALUE_RESULT,
  TASK_VALUE_TRACE,
  TASK_VALUE_COUNT = TASK_VALUE_TRACE
};

/* [owner] Makes the table on top of the stack (popped) the metatable of tasks in its state. */
void task_open(lua_State *L);

/* [owner] The task at `index`, or NULL when it is none. */
struct task *task_at(lua_State *L, int index);

/* [any thread] "waiting", "running", ... */
const char *task_status_name(enum task_status status);

/* [owner] The task that a live fiber runs, or NULL. */
struct task *task_of(const struct fiber *fiber);

/* [owner] Pushes the task that a live fiber runs, or pushes nothing and gives false. */
bool task_push_of(lua_State *L, struct fiber *fiber);

/* [owner] Pushes the name of the task at the absolute index `index`. */
void task_push_name(lua_State *L, int index);

/* [owner] Whether the value at `index` can be called. */
bool task_is_callable(lua_State *L, int index);

/* [owner] Raises unless the value at `index` can be called; `what` says who wanted it. */
void task_check_callable(lua_State *L, int index, const char *what);

/* Whether its error tells of a failure: a cancellation does so when it brought one along. */
static inline bool task_has_errors(const struct task *task) {
  return task->status == TASK_FAILED || task->is_joined;
}

/* [owner] Pushes a task that runs the function below its `nargs` arguments on top of the stack
 * (popped); it starts when the running fiber next waits. */
struct task *task_spawn(lua_State *L, int nargs);

/* [owner] Cancels a task; one that has ended is left alone. `reason` may be NULL. */
void task_cancel(struct task *task, const char *reason);

/* [owner] Raises when the running fiber would wait for ever for the task: it is its own, or starts
 * only after the fiber has ended. */
void task_check_wait(lua_State *L, const struct task *task);

/* [owner] Raises when the task can start only after `waiter` has ended, which waits for it. */
void task_check_root_wait(lua_State *L, const struct task *task, const struct fiber *waiter);

/* [owner] Pushes the error that the task at `index` has ended with. */
void task_push_error(lua_State *L, int index);

/* [owner] Pushes the results of the task at `index` and gives their number, or raises its error. */
int task_push_results(lua_State *L, int index);

/* [owner] Raises kind "full" when the worker has as many unfinished tasks as it may have. */
void task_check_room(lua_State *L);

/* [owner] Pushes a task of the function below its `nargs` arguments (popped), with the options at
 * `options` and, for further calls, which send the same bytes, the box at `copy` of a call that is
 * never submitted (absolute; 0: none); it has no fiber yet. */
struct task *task_push(lua_State *L, int nargs, int options, int copy);

/* [owner] Pushes the options of the task at `index` and gives them, or pushes nil. */
const struct task_options *task_push_options(lua_State *L, int index);

/* [owner] Pushes the box of a new call of the task at `index`, as it was when it was scheduled or,
 * where nothing can have changed since, of its arguments. */
void task_push_call(lua_State *L, int index);

/* [owner] Pushes the function of the task at `index` and its arguments; gives their number. */
int task_push_function(lua_State *L, int index);

/* [owner] A C function: gets the box of a call, submits it and waits for its results. */
int task_run_box(lua_State *L);

/* [owner] Pushes the traceback of the error of the task at `index` and gives it, or pushes nil. */
const char *task_push_traceback(lua_State *L, int index);

/* [owner] Makes the fiber of the task on top of the stack; `box` is the index of the box of its
 * call when the function is blocking, else 0. task_start starts it. */
void task_make_fiber(lua_State *L, int box);

/* [owner] Pushes the line that made the task at the absolute index `index`, which has not ended
 * with an error, and gives it; or pushes anything and gives NULL: it is not known. */
const char *task_push_maker(lua_State *L, int index);

/* [owner] Says for a task that was made by no line of this state which line has made it. */
void task_set_maker(lua_State *L, int index, const char *maker);

/* [owner] Makes the fiber of a task ready. */
void task_start(struct task *task);

#endif
