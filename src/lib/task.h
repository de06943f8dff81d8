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

struct agenda;
struct fiber;

enum task_status { TASK_WAITING, TASK_RUNNING, TASK_DONE, TASK_FAILED, TASK_CANCELLED };

/* The handle: a userdata. Its user values: function; results or error; the function that made it,
 * or the traceback of its error; behind them its arguments, and its options if it has any. */
struct task {
  struct fiber *fiber; /* NULL once it has ended */
  struct agenda
      *agenda;         /* a reference, until it has ended: of the request it belongs to; or NULL */
  struct list groups;  /* member.in_task; none: its errors are logged */
  struct list waiting; /* fiber.link of those in task:wait() */
  uint64_t id;         /* made when asked for */
  int nargs;
  int line;       /* where it was made, in the function that made it; 0: unknown */
  uint8_t status; /* enum task_status */
  bool waits : 1; /* for its point in the agenda */
  bool scheduled : 1, late : 1, dropped : 1, has_box : 1, has_options : 1;
  bool has_error : 1; /* which may be nil */
  bool is_joined : 1; /* it brought errors of others along: children.h */
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

/* [owner] Pushes a task of the function below its `nargs` arguments (popped), with the table at
 * `options` (absolute; 0: none); it has no fiber yet. */
struct task *task_push(lua_State *L, int nargs, int options);

/* [owner] Pushes the traceback of the error of the task at `index` and gives it, or pushes nil. */
const char *task_push_traceback(lua_State *L, int index);

/* [owner] Makes the fiber of the task on top of the stack; `box` is the index of the box of its
 * call when the function is blocking, else 0. task_start starts it. */
void task_make_fiber(lua_State *L, int box);

/* [owner] Says for a task that was made by no line of this state which line has made it. */
void task_set_maker(lua_State *L, int index, const char *maker);

/* [owner] Makes the fiber of a task ready. */
void task_start(struct task *task);

#endif
