/* work.h - code for libuv's threads, with the fiber that waits for what it gives.
 *
 * A work is made in a box on the Lua stack, which owns it whatever raises. When the wait is
 * cancelled, or the box collected, the code runs on to its end, or stops early where it looks at
 * `given_up`; only then is the work freed. */
#ifndef LIB_WORK_H
#define LIB_WORK_H

#include "core/offload.h"

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* What an `end` gives that has pushed an error to be raised. */
#define WORK_FAILED (-1)

/* First member of a struct with all that the code works on. */
struct work {
  struct offload offload;
  _Atomic(bool) given_up; /* nobody waits any more */

  /* From here on for work.c only. */
  const char *_what;
  lua_nret (*_end)(lua_State *L, struct work *work);
};

/* [owner] Pushes a box with a zeroed struct of `bytes`, and gives it; run and destroy are those of
 * offload.h. */
void *work_push(lua_State *L, size_t bytes, void (*run)(struct offload *offload),
                void (*destroy)(struct offload *offload));

/* [owner] Runs the work in the box on top of the stack and waits; `what` is what would wait. `end`
 * then pushes the results, whose number it gives, or an error and gives WORK_FAILED. To be returned
 * from a C function. */
lua_nret work_run(lua_State *L, const char *what, lua_nret (*end)(lua_State *L, struct work *work));

#endif
