/* stall.h - how long the code of specs holds its event loop, and at which line.
 *
 * Measured from one resume to the next on workers that ask for it. Time in which the machine did
 * not let the thread run, or the watchdog neither, is not the code's: it does not count. */
#ifndef CORE_STALL_H
#define CORE_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;

enum { STALL_PLACE_BYTES = 512 };

struct stall {
  bool is_watched;
  int fd; /* what the kernel says of the thread's waiting; -1: nothing */
  uint64_t began_ns, began_waited_ns, began_late_ns;
  uint64_t worst_ns;             /* of those since stall_watch */
  char place[STALL_PLACE_BYTES]; /* of that: "app.lua:34", or what it ran */
  char told[STALL_PLACE_BYTES];  /* by the watchdog, of what runs; under its lock */
};

/* [owner] Begins to measure, with the running resume. The worst so far is forgotten. */
void stall_watch(struct worker *worker);

/* [owner] Measures no more. Accepts a worker that does not. */
void stall_unwatch(struct worker *worker);

/* [owner] A resume begins, and ends; `runs` says what ran, where no line is known. What is done
 * between an end and a begin inside one resume does not count. */
void stall_begin(struct worker *worker);
void stall_end(struct worker *worker, const char *runs);

/* [owner] How much longer things may take in this build: 1, or 10 under sanitizers and in the
 * stress build. */
int stall_slowness(void);

#endif
