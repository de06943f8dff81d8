/* timer.h - the one place that knows time: a heap of timers on a clock.
 *
 * `struct timers` is a heap with at most one uv_timer behind it; nobody else starts a uv_timer.
 * A real clock follows uv_hrtime. A manual clock stands still until timers_advance moves it, a
 * shared one until core/clock.c does: so every wait names the timers it runs on. Timers fire from
 * timers_run, in the worker's turn, never inside a libuv callback. */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include "base/base.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#define NS_PER_SECOND 1000000000ull
#define NS_PER_MS     1000000ull

struct timer;
typedef void (*timer_fn)(struct timer *timer);

/* A zeroed timer is a stopped one. */
struct timer {
  uint64_t due_ns;
  timer_fn fire;
  uint32_t _slot;  /* place in the heap + 1; 0 while stopped */
  uint32_t _order; /* of starting; equal due times fire in it */
};

/* What the heaps of several threads have together. */
struct shared_time {
  _Atomic(uint64_t) now_ns;
  _Atomic(uint32_t) order; /* of the timer that is started next, in whichever heap */
};

struct timers {
  struct timer **_heap;
  uint32_t _count, _cap;
  uint32_t _order;     /* of the timer that is started next */
  uint64_t _firing_ns; /* what timers_run takes as now; 0 while it does not run */
  bool _manual;
  uint64_t _manual_ns;
  struct shared_time *_shared; /* of a manual clock; NULL: _manual_ns and _order */
  uint64_t _armed_ns;          /* what the uv_timer was set to; 0 while it is stopped */
  uv_timer_t *_uv;
  uv_loop_t *_loop;
};

/* [owner] An empty heap on the real clock; `loop` must outlive it. */
uv_err timers_init(struct timers *timers, uv_loop_t *loop);

/* [owner] An empty heap on a clock that only timers_advance moves; starts at `now_ns`. */
void timers_init_manual(struct timers *timers, uint64_t now_ns);

/* [owner] An empty heap on the clock of `time`, which outlives it. */
void timers_init_shared(struct timers *timers, struct shared_time *time);

/* [owner] Stops all timers and closes the uv_timer (freed once the loop has run). Accepts a zeroed
 * struct, and twice. */
void timers_finish(struct timers *timers);

/* [owner] Nanoseconds on this clock; monotonic. */
uint64_t timers_now(const struct timers *timers);

/* [owner] (Re)starts a timer that fires once the clock reaches `due_ns`; while timers fire, a time
 * that has passed is as good as now. */
void timer_start(struct timers *timers, struct timer *timer, uint64_t due_ns, timer_fn fire);

/* [owner] Stops a timer; one that is stopped already is left alone. */
void timer_stop(struct timers *timers, struct timer *timer);

/* [owner] Fires what is due, in order of due time, then of starting. Timers started while firing
 * wait for the next run even when due. */
void timers_run(struct timers *timers);

/* [owner] The timer that fires first; NULL: none is started. */
const struct timer *timers_first(const struct timers *timers);

/* [owner] Sets the uv_timer to the earliest due time; called before the loop may sleep. */
void timers_arm(struct timers *timers);

/* [owner] Moves a manual clock forward by `by_ns` (to the next due timer at most) and gives what is
 * left of it; the caller runs timers_run and repeats until 0. */
uint64_t timers_advance(struct timers *timers, uint64_t by_ns);

/* [owner] Whether the clock is not the real one. */
static inline bool timers_is_manual(const struct timers *timers) {
  return timers->_manual;
}

/* [owner] What the clock shares with other threads, or NULL. */
static inline struct shared_time *timers_shared_time(const struct timers *timers) {
  return timers->_shared;
}

static inline bool timer_is_started(const struct timer *timer) {
  return timer->_slot != 0;
}

#endif
