/* fetch_pool.h - curl's multi handle of one Lua state, driven by the worker's loop.
 *
 * It has the kept-alive connections, their sockets under uv_poll, curl's clock on the worker's
 * timers, and the fetches that are on their way. So many of them at once as the limit says; further
 * ones wait here, first come, first served. Knows nothing of Lua. */
#ifndef LIB_FETCH_POOL_H
#define LIB_FETCH_POOL_H

#include "base/buffer.h"
#include "base/list.h"
#include "core/timer.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

struct fetch;
struct worker;

struct fetch_pool {
  CURLM *multi;
  struct worker *worker;
  struct timers *timers;
  struct timer timer;  /* curl's own */
  struct list fetches; /* fetch.link; those on their way */
  struct list waiting; /* fetch.link; until one of them has ended */
  struct list watches; /* watch.link; sockets under uv_poll */
  size_t running;      /* of fetches */
  size_t running_max;
  struct buffer no_proxy;
};

/* [owner] Opens curl's multi handle; the worker outlives the pool. False without memory. */
bool fetch_pool_init(struct fetch_pool *pool, struct worker *worker);

/* [owner] Stops every fetch (its waiter is not woken) and closes all connections; the handles of
 * the loop are freed once it has run. Accepts a zeroed pool, and twice. */
void fetch_pool_finish(struct fetch_pool *pool);

/* [owner] Sends what the fetch's easy handle says, at once or when its turn has come; its files are
 * opened then. fetch_end is called at the end of it. */
void fetch_pool_add(struct fetch_pool *pool, struct fetch *fetch);

/* [owner] For fetch_file.h: its files are open now. Calls fetch_begin, and gives it to curl. */
void fetch_pool_go(struct fetch *fetch);

/* [owner] How many fetches are on their way or wait for their turn. */
int fetch_pool_count(const struct fetch_pool *pool);

/* [owner] Whether each fetch that is on its way goes by a socket that `settled` says is at rest,
 * and none waits for its turn; one that has no socket yet is not at rest. */
bool fetch_pool_is_settled(const struct fetch_pool *pool,
                           bool (*settled)(const struct fetch *fetch, void *context),
                           void *context);

/* [owner] Takes the fetch off curl; what has been received stays. Twice is harmless. */
void fetch_pool_remove(struct fetch *fetch);

#endif
