/* server_watch.h - notices that the files of an app have changed, for `perilune dev`.
 *
 * Watched are Lua files and templates (.html, .etlua, .sql, ...) in the app's directory and below
 * it, but not in spec/, public/ and hidden directories, nor what editors leave beside them. The
 * kernel tells of changes, and the files are looked through: what counts is that two looks in a row
 * see the same and that it is not what was seen before, however the files were written. */
#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H

#include "base/base.h"
#include "base/list.h"
#include "core/timer.h"

#include <stdbool.h>
#include <uv.h>

struct server_watch {
  uv_loop_t *loop;
  struct timers *timers;
  const char *dir;
  void (*changed)(struct server_watch *watch); /* a state of the files that is new */
  void *owner;
  struct timer timer;
  struct list directories; /* directory.link */
  uint64_t known, seen;    /* states: the last one told of, that of the last look */
  unsigned look_count;
  int handle_count; /* that libuv has not closed yet */
};

/* [owner] Begins to watch `dir` (borrowed); the state of now counts as known. */
void server_watch_start(struct server_watch *watch, uv_loop_t *loop, struct timers *timers,
                        const char *dir);

/* [owner] Ends it; the loop must run until the handles have closed. Harmless on a zeroed one. */
void server_watch_stop(struct server_watch *watch);

#endif
