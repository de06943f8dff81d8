/* stuck.h - where a thread is that no hook can reach: in a C function, told by the signal handler.
 *
 * The handler looks at the frames of the coroutine that executes and writes text into memory that
 * the worker has had from its beginning; the watchdog reads it and lets it be written again. What
 * the handler may rely on stands in stuck.c. */
#ifndef CORE_STUCK_H
#define CORE_STUCK_H

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snapshot;
struct worker;

enum {
  STUCK_WHERE_BYTES = 256,
  STUCK_RUNS_BYTES = 128,
  STUCK_SOURCE_BYTES = 1024,
  STUCK_TRACEBACK_BYTES = 4096
};

struct stuck_report {
  uint64_t request;
  uint64_t since_ns;                     /* uv_hrtime of the turn that it holds */
  char where[STUCK_WHERE_BYTES];         /* "in string.find, called from app.lua:12" */
  char runs[STUCK_RUNS_BYTES];           /* what the fiber runs: its name, or file and line */
  char source[STUCK_SOURCE_BYTES];       /* of the function that it runs; empty: it has a name */
  int line;                              /* of its definition */
  char traceback[STUCK_TRACEBACK_BYTES]; /* one level in each line; empty when it cannot be told */
};

struct stuck_name;

struct stuck {
  _Atomic(bool) written; /* the report is the watchdog's; else the handler's */
  struct stuck_report report;
  _Atomic(unsigned) looks; /* of the handler: how often it has had a turn */

  /* the handler's own: what it saw at the signal before */
  uint64_t seen_resume;
  const void *seen_frame;
  uintptr_t seen_slot;

  struct stuck_name *names; /* of the C functions of the libraries */
  size_t name_count;
};

/* [owner] Learns the names of the C functions in a new state. Raises. */
void stuck_open(lua_State *L);

/* [owner] Frees the names. */
void stuck_finish(struct worker *worker);

/* [owner] For the signal handler, and nobody else: writes the report if it has been read and two
 * signals have found the thread at the same place. */
void stuck_look(struct worker *worker, lua_State *L, uint64_t resume);

/* [owner] Writes what runs, and for which request; no function is entered meanwhile. For the signal
 * handler too. */
void stuck_write_fiber(struct stuck_report *report, const struct worker *worker);

/* [any thread] Puts the name of the function that runs into the report, where it has one. */
void stuck_name_function(struct stuck_report *report, struct snapshot *snapshot);

/* [any thread] For the watchdog: whether there is a report; copies it, and lets the next be
 * written. */
bool stuck_take(struct stuck *stuck, struct stuck_report *out);

#endif
