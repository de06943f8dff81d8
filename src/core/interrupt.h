/* interrupt.h - stopping Lua code in the middle of a run.
 *
 * The watchdog signals the very thread that is held; the handler there compares the number of the
 * resume (a stale signal hits nobody) and sets a hook on the coroutine that executes. The hook
 * reports where the worker is held, or raises the error of an interrupted scope. */
#ifndef CORE_INTERRUPT_H
#define CORE_INTERRUPT_H

#include "base/base.h"

#include <lua.h>

/* Marks what runs in the signal handler: the thread sanitizer's own code may be what is
 * interrupted. */
#if defined(__SANITIZE_THREAD__)
#  define WITH_TSAN 1
#elif defined(__has_feature)
#  if __has_feature(thread_sanitizer)
#    define WITH_TSAN 1
#  endif
#endif

#ifdef WITH_TSAN
#  define NOT_SANITIZED __attribute__((no_sanitize("thread")))
#else
#  define NOT_SANITIZED
#endif

struct worker;

/* [any thread] Installs the signal handler for the process; once, before the first worker. */
uv_err interrupt_install(void);

/* [any thread] Signals the thread of a worker, which must not end meanwhile. */
void interrupt_signal(struct worker *worker);

/* [owner] Sets the hook on `L`; a debugger's or profiler's hook is kept and given back. */
void interrupt_set_hook(struct worker *worker, lua_State *L);

#endif
