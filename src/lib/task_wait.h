/* task_wait.h - a question to a task of another worker, and its answer.
 *
 * It travels to the task's worker, where a fiber asks the task, waits for it where that is the
 * question, and sends the answer back. */
#ifndef LIB_TASK_WAIT_H
#define LIB_TASK_WAIT_H

#include "base/buffer.h"
#include "core/fiber.h"
#include "core/inbox.h"

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Where a task is. */
struct task_home {
  uint64_t worker; /* number in the directory */
  uint64_t id;
};

/* What is asked of a task. */
enum task_question {
  ASKS_END,
  ASKS_FIELDS, /* what it is like now: what crosses at all times */
  ASKS_FIELD,  /* one that may not */
  ASKS_EVENT,  /* a method of task.started */
  ASKS_CALL,   /* its function is called once more */
  ASKS_TO_SET, /* its progress, which is in the bytes */
};

struct task_wait {
  struct message message;
  _Atomic(int) owners; /* the box, and the message while it is under way */
  struct task_home task;
  uint64_t asker;           /* number of the worker that waits */
  const struct fiber *root; /* what waits for the code that waits; call.root */
  enum task_question question;
  const char *name; /* of the field or the method */
  bool has_timeout;
  double timeout_s;

  /* the answer */
  struct buffer bytes; /* results, fields, or the error; empty: no memory. First what is sent */
  bool is_lost;        /* the thread has ended meanwhile: there is no answer */
  bool returned;
  bool has_ended; /* the task has, so that it is its error */

  /* the asker's own */
  struct ticket ticket;
  bool is_orphaned; /* the box has let go: nobody is to be woken */
};

/* [owner] Pushes a box with a question of the running fiber, for the end of the task unless
 * changed; it is freed with the box. */
struct task_wait *task_wait_push(lua_State *L, struct fiber *fiber, const struct task_home *home);

/* [owner] Sends it; the fiber is woken by the answer. False when the task's worker has ended. */
bool task_wait_send(struct worker *worker, struct task_wait *wait);

/* [owner] Pushes a table with what always crosses of the task at index `task`. */
void task_wait_push_fields(lua_State *L, int task);

/* [owner] Makes the box's class known in the state. */
void task_wait_open(lua_State *L);

#endif
