/* clock.h - one clock for an app under test: its spec, its event loop, its pools and loops.
 *
 * Time moves only while all of them rest, and then to the timer that is due first. Rules for
 * libraries: the time of the app is timers_now(fiber->timers), outside of fibers that of
 * worker->app_timers. Real work that somebody waits for (files, processes, databases, foreign
 * sockets) is held: worker_hold before it, worker_release after it. A message to an inbox, and C
 * code that runs in a worker's turn, hold the clock by themselves. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include "core/fiber.h"

#include <stdbool.h>
#include <stdint.h>

struct clock;
struct timers;
struct worker;

/* [owner] A clock that this worker moves by itself, until it is told not to; it lives as long as
 * the worker. */
struct clock *clock_create(struct worker *worker);

/* [owner] Whether the clock moves by itself, or only by clock_advance. */
void clock_set_automatic(struct clock *clock, bool is_automatic);

/* [owner] The timers of the clock on the worker that moves it. */
struct timers *clock_timers(struct clock *clock);

/* [owner] The clock stands still from now on; all workers have left it. Fibers of this worker that
 * live on it and wait for no time go on in real time. */
void clock_stop(struct clock *clock);

/* [any thread] A worker of the app is about to be started, or was not after all. Accepts NULL. */
void clock_expect(struct clock *clock);
void clock_expect_not(struct clock *clock);

/* [owner] The worker begins to live on its clock (worker.clock), which has expected it; before it
 * gets messages. And its end: it leaves before its inbox is closed, and is forgotten after that. */
void clock_join(struct worker *worker);
void clock_leave(struct worker *worker);
void clock_forget(struct worker *worker);

/* [owner] A worker that has a clock is about to wait in its loop, and has woken up. */
void clock_rest(struct worker *worker);
void clock_rouse(struct worker *worker);

/* [owner] Whether a timer of the worker's clocks is due; and fires those that are. */
bool clock_is_due(const struct worker *worker);
void clock_run(struct worker *worker);

/* [owner] Moves the worker's clocks as far as they are to go at once. At the end of its turn, when
 * it has nothing to do and nothing on its way. */
void clock_look(struct worker *worker);

/* [owner] Whether time on these timers goes on without a further advance. */
bool clock_goes_on(const struct timers *timers);

/* [owner] Whether one of the worker's clocks waits to be advanced, and all who live on it rest. */
bool clock_is_awaited(const struct worker *worker);

/* [owner] Moves the clock by `by_ns` and waits until all that this has started has come to rest,
 * for `limit_ns` of real time (0: however long); pushes whether it has. Raises where that goes on
 * already. */
lua_nret clock_advance(lua_State *L, struct clock *clock, uint64_t by_ns, uint64_t limit_ns);

/* [owner] Nanoseconds to the timer that is due first; very many when there is none. Right while
 * nothing happens on the clock: after clock_advance. */
uint64_t clock_next(struct clock *clock);

/* [owner] Frees the clocks of a worker at its end. */
void clock_free_all(struct worker *worker);

#endif
