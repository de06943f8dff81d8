/* offload.h - C code that may block, run on libuv's threads while a fiber waits.
 *
 * In a worker that runs blocking functions it runs right where it is. The one who started it may
 * stop waiting at any time, or be collected: the struct stays until the code has ended. */
#ifndef CORE_OFFLOAD_H
#define CORE_OFFLOAD_H

#include "core/fiber.h"

#include <lua.h>
#include <stdbool.h>
#include <uv.h>

/* Part of a struct with what the code works on. One run at a time, as many as are needed. */
struct offload {
  bool running;                             /* all of the rest of the struct belongs to the code */
  void (*run)(struct offload *offload);     /* knows no Lua and nothing of the worker */
  void (*destroy)(struct offload *offload); /* frees the whole; on the owner's thread */
  void (*ended)(struct offload *offload);   /* may be NULL: told of the end, on the owner's thread,
                                             * of code that ran elsewhere; no Lua */

  /* From here on for offload.c only. */
  bool _dropped;
  struct list _waiting; /* fiber.link */
  uv_work_t _work;
};

/* [owner] A struct that does not run. */
void offload_init(struct offload *offload, void (*run)(struct offload *offload),
                  void (*destroy)(struct offload *offload));

/* [owner] Runs the code; in a pool worker it has ended when this returns. */
void offload_start(struct offload *offload, struct worker *worker);

/* [owner] Waits until it does not run any more, but is woken by cancellation too: `k` looks at
 * `running`. fiber_begin_wait has been called. */
lua_nret offload_wait(lua_State *L, struct fiber *fiber, struct offload *offload,
                      const char *waits_for, lua_KContext context, lua_KFunction k);

/* [owner] The owner does not need it any more: wakes who still waits, who must not look at it then,
 * and destroys it, once the code has ended. Accepts NULL. */
void offload_drop(struct offload *offload);

#endif
