/* interrupt.h - stopping Lua code in the middle of a run.
 *
 * The watchdog signals the very thread that is held; the handler there compares the number of the
 * resume (a stale signal hits nobody) and sets a hook on the coroutine that executes. The hook
 * reports where the worker is held, or raises the error of an interrupted scope. */
#ifndef CORE_INTERRUPT_H
#define CORE_INTERRUPT_H

#include "base/base.h"

#include <lua.h>

struct worker;

/* [any thread] Installs the signal handler for the process; once, before the first worker. */
uv_err interrupt_install(void);

/* [any thread] Signals the thread of a worker, which must not end meanwhile. */
void interrupt_signal(struct worker *worker);

/* [owner] Sets the hook on `L`; a debugger's or profiler's hook is kept and given back. */
void interrupt_set_hook(struct worker *worker, lua_State *L);

#endif
