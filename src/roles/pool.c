/* pool.c - the pools of an app, and the queues their threads are fed from.
 *
 * An idle runner (pool_runner.c) waits in its loop and nowhere else; a call is handed to the one
 * that became idle last (its caches are warm), or to a new thread while the pool may have more,
 * else it is queued. */
#include "roles/pool.h"

#include "base/limits.h"
#include "base/settings.h"
#include "base/texts.h"
#include "roles/pool_lost.h"
#include "roles/pool_nested.h"
#include "roles/pool_runner.h"

#include <stdlib.h>
#include <string.h>

/* ---- threads ---- */

/* Frees the threads that have ended, with their stacks. Under the lock. */
static void join_gone(struct pools *pools) {
  for (struct list *link = pools->runners.next, *next; link != &pools->runners; link = next) {
    next = link->next;
    struct runner *runner = container_of(link, struct runner, link);
    if (!runner->gone) continue;
    uv_thread_join(&runner->thread);
    list_remove(&runner->link);
    free(runner);
  }
}

/* The lock is not held while a thread is waited for: it takes it before it ends. */
static void join_all(struct pools *pools) {
  uv_mutex_lock(&pools->lock);
  while (!list_is_empty(&pools->runners)) {
    struct runner *runner = container_of(pools->runners.next, struct runner, link);
    pool_runner_unlock(pools);
    uv_thread_join(&runner->thread);
    uv_mutex_lock(&pools->lock);
    list_remove(&runner->link);
    free(runner);
  }
  pool_runner_unlock(pools);
}

/* ---- the host ---- */

static struct pool *find_pool(struct pools *pools, const char *name) {
  for (struct list *link = pools->pools.next; link != &pools->pools; link = link->next) {
    struct pool *pool = container_of(link, struct pool, link);
    if (strcmp(pool->name, name) == 0) return pool;
  }
  return NULL;
}

static uv_err take_call(struct pools *pools, struct pool *pool, struct call *call) {
  if (!list_is_empty(&pool->idle)) {
    pool_runner_hand_over(container_of(pool->idle.prev, struct runner, idle), call);
    return 0;
  }
  if (pool_nested_may_start(pool)) {
    join_gone(pools);
    uv_err error = pool_runner_start(pools, pool, call);
    bool goes_on = pool_nested_has_free_thread(pools, pool, NULL);
    if (!error || !goes_on) return error == UV_EAGAIN ? UV_ENOMEM : error;
  }
  if (call->spare) return UV_EAGAIN;
  if (pool->queued >= pool->calls_max) {
    pool->figures.rejected++;
    return UV_ENOBUFS;
  }
  pool->queued++;
  call->state = CALL_QUEUED;
  list_push(&pool->queue, &call->link);
  return 0;
}

/* A call that is made in the code of another one. */
static uv_err take_nested(struct pools *pools, struct pool *pool, struct call *call) {
  struct runner *runner = pool_nested_find_runner(pools, call->innermost);
  if (!runner) return take_call(pools, pool, call);
  if (!call->spare && pool_nested_would_deadlock(pools, runner, pool)) return UV_ELOOP;
  uv_err error = take_call(pools, pool, call);
  if (error) return error;
  pool_nested_begin(runner, call);
  if (!list_is_empty(&runner->pool->queue) && pool_nested_may_start(runner->pool)) {
    join_gone(pools);
    pool_runner_start_queued(pools, runner->pool);
  }
  return 0;
}

static uv_err submit(struct call_host *host, struct call *call) {
  struct pools *pools = container_of(host, struct pools, host);
  call->queued_ns = uv_hrtime();
  uv_mutex_lock(&pools->lock);
  struct pool *pool = find_pool(pools, call->pool);
  uv_err error = UV_ENOENT;
  if (pools->stopping) {
    error = UV_ECANCELED;
  } else if (pool) {
    call->queue = pool;
    call->pool = pool->name;
    call->id = ++pools->call_count;
    call->chain |= pool_nested_bit(pool);
    error = call->innermost ? take_nested(pools, pool, call) : take_call(pools, pool, call);
    call->innermost = call->id;
  }
  pool_runner_unlock(pools);
  return error;
}

static enum call_way choose(struct call_host *host, const struct call *around, const char *name,
                            bool is_child) {
  struct pools *pools = container_of(host, struct pools, host);
  enum call_way way = CALL_CROSSES;
  uv_mutex_lock(&pools->lock);
  const struct pool *pool = name ? find_pool(pools, name) : around->queue;
  if (pool && (around->chain & pool_nested_bit(pool))) {
    bool has_spare = !list_is_empty(&pool->idle) || pool_nested_may_start(pool);
    way = is_child && has_spare ? CALL_CROSSES_TO_SPARE : CALL_INLINE;
  }
  pool_runner_unlock(pools);
  return way;
}

static void abandon(struct call_host *host, struct call *call) {
  struct pools *pools = container_of(host, struct pools, host);
  uv_mutex_lock(&pools->lock);
  bool queued = call->state == CALL_QUEUED;
  call->abandoned = true;
  pool_nested_end(call);
  if (queued) {
    list_remove(&call->link);
    ((struct pool *)call->queue)->queued--;
    ((struct pool *)call->queue)->figures.cancelled++;
  } else if (call->state == CALL_RUNNING) {
    pool_runner_cancel(call->runner, call);
  }
  pool_runner_unlock(pools);
  if (queued) call_free(call);
}

void pools_log_running(struct pools *pools) {
  pool_lost_log_running(pools);
}

struct call_host *pools_host(struct pools *pools) {
  return &pools->host;
}

/* ---- life ---- */

static void retain(struct call_host *host) {
  struct pools *pools = container_of(host, struct pools, host);
  atomic_fetch_add_explicit(&pools->references, 1, memory_order_relaxed);
}

static void release(struct call_host *host) {
  struct pools *pools = container_of(host, struct pools, host);
  if (atomic_fetch_sub_explicit(&pools->references, 1, memory_order_acq_rel) > 1) return;
  if (host->loops) host->loops->release(host->loops);
  struct list *link;
  while ((link = list_pop(&pools->pools))) {
    struct pool *pool = container_of(link, struct pool, link);
    free(pool->name);
    free(pool);
  }
  uv_mutex_destroy(&pools->lock);
  free(pools);
}

static void lock(struct call_host *host) {
  uv_mutex_lock(&container_of(host, struct pools, host)->lock);
}

static void unlock(struct call_host *host) {
  pool_runner_unlock(container_of(host, struct pools, host));
}

struct pools *pools_create(struct process *process, struct snapshot *snapshot) {
  struct pools *pools = memory_alloc_zero(sizeof *pools);
  pools->host = (struct call_host){.noun = "pool",
                                   .function = "a blocking function",
                                   .submit = submit,
                                   .choose = choose,
                                   .abandon = abandon,
                                   .expire = pool_lost_expire,
                                   .find = pool_lost_find,
                                   .retain = retain,
                                   .release = release,
                                   .lock = lock,
                                   .unlock = unlock};
  atomic_init(&pools->references, 1);
  pools->process = process;
  pools->snapshot = snapshot;
  uv_mutex_init(&pools->lock);
  list_init(&pools->pools);
  list_init(&pools->runners);
  const struct settings *settings = process->settings;
  pools_configure(pools, "default", settings->pool_threads, settings->pool_calls_max);
  pools_configure(pools, "tasks", settings->pool_threads, settings->pool_calls_max);
  return pools;
}

void pools_set_clock(struct pools *pools, struct clock *clock) {
  pools->clock = clock;
}

bool pools_configure(struct pools *pools, const char *name, int threads_max, int calls_max) {
  uv_mutex_lock(&pools->lock);
  struct pool *pool = find_pool(pools, name);
  bool fits = pool || pools->pool_count < POOLS_MAX;
  if (!pool && fits) {
    pool = memory_alloc_zero(sizeof *pool);
    pool->index = pools->pool_count++;
    pool->name = memory_copy(name, strlen(name));
    list_init(&pool->queue);
    list_init(&pool->idle);
    list_push(&pools->pools, &pool->link);
  }
  if (fits && threads_max > 0) pool->threads_max = threads_max;
  if (fits && calls_max > 0) pool->calls_max = calls_max;
  pool_runner_unlock(pools);
  return fits;
}

bool pools_have(struct pools *pools, const char *name) {
  uv_mutex_lock(&pools->lock);
  bool found = find_pool(pools, name) != NULL;
  pool_runner_unlock(pools);
  return found;
}

/* Under the lock. */
static uint64_t count_lua_bytes(const struct pools *pools, const struct pool *pool) {
  uint64_t bytes = 0;
  for (struct list *link = pools->runners.next; link != &pools->runners; link = link->next) {
    const struct runner *runner = container_of(link, struct runner, link);
    if (runner->pool == pool && !runner->gone)
      bytes += metrics_get(&runner->worker.metrics, METRIC_LUA_BYTES);
  }
  return bytes;
}

size_t pools_count(struct pools *pools, struct pool_counts *out, size_t max) {
  size_t count = 0;
  uv_mutex_lock(&pools->lock);
  for (struct list *link = pools->pools.next; link != &pools->pools && count < max;
       link = link->next) {
    const struct pool *pool = container_of(link, struct pool, link);
    int idle = 0;
    for (struct list *at = pool->idle.next; at != &pool->idle; at = at->next) idle++;
    out[count++] = (struct pool_counts){.name = pool->name,
                                        .threads = pool->threads,
                                        .busy = pool->threads - idle,
                                        .queued = pool->queued,
                                        .waiting = pool->waiting,
                                        .lost = pool->lost,
                                        .figures = pool->figures,
                                        .lua_bytes = count_lua_bytes(pools, pool)};
  }
  pool_runner_unlock(pools);
  return count;
}

/* It stands first in the payload, as a text. */
static void add_identity(const struct call *call, struct buffer *out) {
  struct slice identity;
  size_t at = 0;
  if (texts_next(&call->payload, &at, &identity)) texts_add(out, identity);
}

void pools_list_calls(struct pools *pools, struct buffer *out) {
  uv_mutex_lock(&pools->lock);
  for (struct list *link = pools->runners.next; link != &pools->runners; link = link->next) {
    const struct runner *runner = container_of(link, struct runner, link);
    if (runner->assigned) add_identity(runner->assigned, out);
  }
  for (struct list *link = pools->pools.next; link != &pools->pools; link = link->next) {
    const struct list *queue = &container_of(link, struct pool, link)->queue;
    for (const struct list *at = queue->next; at != queue; at = at->next)
      add_identity(container_of(at, const struct call, link), out);
  }
  pool_runner_unlock(pools);
}

/* Under the lock. */
static void refuse_all_queued(struct pools *pools) {
  for (struct list *link = pools->pools.next; link != &pools->pools; link = link->next)
    pool_runner_refuse_queued(container_of(link, struct pool, link));
}

void pools_settle(struct pools *pools, struct inbox *inbox, struct message *message) {
  uv_mutex_lock(&pools->lock);
  pools->settling = true;
  pools->settled_inbox = inbox;
  pools->settled = message;
  refuse_all_queued(pools);
  for (struct list *link = pools->runners.next; link != &pools->runners; link = link->next) {
    struct runner *runner = container_of(link, struct runner, link);
    if (runner->assigned) pool_runner_cancel(runner, runner->assigned);
  }
  pool_runner_end_settling(pools);
  pool_runner_unlock(pools);
}

bool pools_are_settling(struct pools *pools) {
  uv_mutex_lock(&pools->lock);
  bool settling = pools->settling;
  pool_runner_unlock(pools);
  return settling;
}

static void stop_runners(struct pools *pools) {
  uv_mutex_lock(&pools->lock);
  pools->stopping = true;
  refuse_all_queued(pools);
  for (struct list *link = pools->runners.next; link != &pools->runners; link = link->next)
    pool_runner_stop(container_of(link, struct runner, link));
  pool_runner_unlock(pools);
}

void pools_destroy(struct pools *pools) {
  if (!pools) return;
  stop_runners(pools);
  join_all(pools);
  release(&pools->host);
}
