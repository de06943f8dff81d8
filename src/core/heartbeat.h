/* heartbeat.h - what a worker publishes of itself to the watchdog, and how it is interrupted.
 *
 * The worker's thread is the only writer of the first group and reads no clock for it; the
 * watchdog is the only writer of the second. A signal names the resume it is meant for, so one
 * that comes late hits nobody. */
#ifndef CORE_HEARTBEAT_H
#define CORE_HEARTBEAT_H

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HEARTBEAT_NEVER UINT64_MAX

enum heartbeat_ask {
  HEARTBEAT_INTERRUPT = 1, /* a deadline has passed, or the running call was cancelled */
  HEARTBEAT_REPORT = 2,    /* the worker is held: log where */
  HEARTBEAT_KILL = 4,      /* the worker is held too long: raise */
  HEARTBEAT_LOOK = 8       /* no hook has fired: the signal handler is to look (stuck.h) */
};

struct heartbeat {
  /* written by the worker */
  _Atomic(uint64_t) resume;       /* number of the resume; odd while Lua runs */
  _Atomic(uint64_t) interrupt_ns; /* uv_hrtime past which running code is to be interrupted */
  lua_State *volatile executing;  /* the coroutine that runs; read by the handler, same thread */

  /* written by the watchdog */
  _Atomic(uint64_t) target; /* the resume that is asked */
  _Atomic(unsigned) asked;  /* enum heartbeat_ask, cleared by the hook */

  /* written by whoever cancels what the worker runs from another thread */
  _Atomic(uint64_t) cancel; /* id of the call to be cancelled; 0: none */
  _Atomic(uint64_t) call;   /* id of the call that runs, written by the worker */
};

/* What the watchdog has seen of a worker; its own, but for what a hook reads that it has asked. */
struct sight {
  uint64_t resume;    /* the last one that was seen */
  uint64_t since_ns;  /* uv_hrtime when it was first seen */
  uint64_t cpu_ns;    /* of the thread, then */
  uint64_t asked_ns;  /* when what has not been answered was asked; 0: nothing */
  unsigned looks;     /* stuck.looks, when the resume was first seen */
  uint64_t repeat_ns; /* how long it has been stuck when that is told again; 0: not told yet */
  bool reported;      /* that it holds its loop */
};

#endif
