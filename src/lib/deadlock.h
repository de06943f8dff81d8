/* deadlock.h - noticing that every fiber of a worker waits for another one.
 *
 * For specs, which would hang: when only such waits are left for a while, the innermost guarded
 * function is cancelled, and its guard raises kind "deadlock" with who waits for what. A fiber
 * that waits for time, I/O or another thread may still wake the others, so then it is none. The
 * same when only time is waited for, on a clock that nobody advances. */
#ifndef LIB_DEADLOCK_H
#define LIB_DEADLOCK_H

#include "core/timer.h"

#include <lua.h>
#include <stdbool.h>

struct scope;
struct worker;

struct deadlock {
  struct worker *worker;
  struct timer timer;  /* runs while it looks like one */
  uint64_t resume;     /* the last one when it began to */
  bool is_due;         /* it has lasted */
  bool stands_still;   /* time is waited for */
  struct scope *guard; /* innermost */
};

/* [owner] Lets the guards of the state find this one, which is zeroed but for `worker`. Raises when
 * there is no memory. */
void deadlock_open(lua_State *L, struct deadlock *deadlock);

/* [owner] Looks, at the end of each turn; `is_idle`: nothing is on its way to the worker. */
void deadlock_look(struct deadlock *deadlock, bool is_idle);

/* [owner] The loader of perilune.native.deadlock: guard(fn, ...) -> results of fn. */
int deadlock_module_open(lua_State *L);

#endif
