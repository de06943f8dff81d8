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

/* Tasks that one fiber waits for together. A task may be in several groups, and twice in one. */
struct task_group {
  struct list waiting; /* fiber.wait_link of the one that waits */
  struct list members; /* member.in_group: those that have not ended */
  struct task *failed; /* the first that failed */
};

/* The handle: a userdata. Its user values: function, results or error, options, traceback, and the
 * arguments behind them. */
struct task {
  struct list link;      /* agenda.waiting */
  struct fiber *fiber;   /* NULL once it has ended */
  struct agenda *agenda; /* a reference, while it waits there; else NULL */
  struct agenda *owner;  /* a reference, until it has ended: the request it belongs to; or NULL */
  struct list groups;    /* member.in_task; none: its errors are logged */
  struct list waiting;   /* fiber.wait_link of those in task:wait() */
  uint64_t id;           /* made when asked for */
  enum task_status status;
  int nargs;
  bool late, dropped, has_box;
};

enum {
  TASK_VALUE_FUNCTION = 1,
  TASK_VALUE_RESULT,
  TASK_VALUE_OPTIONS,
  TASK_VALUE_TRACEBACK,
  TASK_VALUE_COUNT = TASK_VALUE_TRACEBACK
};

/* [owner] Registers the classes in a state. */
void task_open(lua_State *L);

/* [owner] The task at `index`, or NULL when it is none. */
struct task *task_at(lua_State *L, int index);

/* [owner] Pushes a task that runs the function below its `nargs` arguments on top of the stack
 * (popped); it starts when the running fiber next waits. `group` may be NULL. */
struct task *task_spawn(lua_State *L, int nargs, struct task_group *group);

/* [owner] A group without members; and its end, which parts it from those that it still has. */
void task_group_init(struct task_group *group);
void task_group_finish(struct task_group *group);

/* [owner] Lets a group wait for a task that exists already; one that has ended counts at once. */
void task_join_group(struct task *task, struct task_group *group);

/* [owner] Cancels a task; one that has ended is left alone. `reason` may be NULL. */
void task_cancel(struct task *task, const char *reason);

/* [owner] Pushes the results of the task at `index` and gives their number, or raises its error. */
int task_push_results(lua_State *L, int index);

/* [owner] Pushes a task of the function below its `nargs` arguments (popped); it has no fiber yet.
 */
struct task *task_push(lua_State *L, int nargs);

/* [owner] Makes the fiber of the task on top of the stack; `box` is the index of the box of its
 * call when the function is blocking, else 0. task_start starts it. */
void task_make_fiber(lua_State *L, int box);

/* [owner] Makes the fiber of a task ready. */
void task_start(struct task *task);

#endif
