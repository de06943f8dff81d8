/* watchdog.h - one thread that looks at every worker's heartbeat.
 *
 * It notes when it first saw the number of a resume; past a limit it asks that worker to interrupt,
 * report or kill what runs, and repeats the signal every tick until the hook has answered. What is
 * in a C function, where no hook fires, is told of by the watchdog itself. */
#ifndef CORE_WATCHDOG_H
#define CORE_WATCHDOG_H

#include "base/base.h"
#include "base/list.h"

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

struct watchdog_report;
struct snapshot;
struct worker;

struct watchdog {
  uv_mutex_t _lock; /* guards the rest; held while signalling, so that no worker ends meanwhile */
  uv_cond_t _wake;
  struct list _workers; /* worker.watched */
  bool _stopping;
  uint64_t _warn_ns, _kill_ns;     /* 0: off */
  _Atomic(uint64_t) _late_ns;      /* that it has been woken too late, in all */
  struct watchdog_report *_report; /* what is about to be told */
  uv_thread_t _thread;
};

/* [any thread] Starts the thread; limits in milliseconds, 0: off. */
uv_err watchdog_start(struct watchdog *watchdog, uint64_t stall_warn_ms, uint64_t stall_kill_ms);

/* [any thread] Ends the thread; all workers have been removed. */
void watchdog_stop(struct watchdog *watchdog);

/* [owner] Puts a worker before the watchdog, and takes it away again. */
void watchdog_add(struct watchdog *watchdog, struct worker *worker);
void watchdog_remove(struct watchdog *watchdog, struct worker *worker);

/* [any thread] How much too late it has been woken, in all: the machine had no time for it. */
uint64_t watchdog_late_ns(const struct watchdog *watchdog);

/* [owner] Forgets where the worker has been held, for core/stall.h; and copies it to `place`, of
 * STALL_PLACE_BYTES, or gives false: nothing was told since. */
void watchdog_forget_stall(struct worker *worker);
bool watchdog_take_stall(struct worker *worker, char *place);

/* [owner] From now on the worker's files are those of `snapshot`: the watchdog, which looks in them
 * for the names of functions, has done with those before, which may be destroyed. */
void watchdog_set_snapshot(struct worker *worker, struct snapshot *snapshot);

/* [owner] Logs where the worker is held; called from the hook, allocates nothing in Lua. */
void watchdog_report(struct worker *worker, lua_State *L);

#endif
