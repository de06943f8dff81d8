/* pool_nested.c - the accounts of waiting threads, and the look for circles.
 *
 * A pool goes on while some thread of it waits for nobody, or may be started. One that does not
 * waits for pools that do, at the end of each way: whoever would be its last thread to wait is
 * looked at first. A thread that takes a call of a child runs it at once, so this is no wait. */
#include "roles/pool_nested.h"

#include "base/limits.h"
#include "roles/pool_runner.h"

uint64_t pool_nested_bit(const struct pool *pool) {
  return (uint64_t)1 << pool->index;
}

struct runner *pool_nested_find_runner(struct pools *pools, uint64_t id) {
  for (struct list *link = pools->runners.next; link != &pools->runners; link = link->next) {
    struct runner *runner = container_of(link, struct runner, link);
    if (runner->assigned && runner->assigned->id == id) return runner;
  }
  return NULL;
}

static bool may_start(const struct pool *pool, int waiting) {
  int present = pool->threads - pool->lost;
  return present - waiting < pool->threads_max &&
         present < pool->threads_max + POOL_REPLACEMENTS_MAX;
}

bool pool_nested_may_start(const struct pool *pool) {
  return may_start(pool, pool->waiting);
}

bool pool_nested_has_surplus(const struct pool *pool) {
  return pool->threads - pool->lost - pool->waiting > pool->threads_max;
}

bool pool_nested_has_free_thread(const struct pools *pools, const struct pool *pool,
                                 const struct runner *except) {
  for (struct list *link = pools->runners.next; link != &pools->runners; link = link->next) {
    const struct runner *runner = container_of(link, struct runner, link);
    if (runner->pool != pool || runner == except || runner->left) continue;
    if (list_is_empty(&runner->nested)) return true;
  }
  return false;
}

static bool goes_on(const struct pools *pools, const struct pool *pool,
                    const struct runner *about_to_wait) {
  int waiting = pool->waiting + (about_to_wait && about_to_wait->waits == 0);
  return may_start(pool, waiting) || pool_nested_has_free_thread(pools, pool, about_to_wait);
}

/* Whether `from` waits for `to`, over pools that do not go on by themselves. */
static bool reaches(const struct pools *pools, const struct pool *from, const struct pool *to,
                    uint64_t *seen) {
  if (from == to) return true;
  if ((*seen & pool_nested_bit(from)) || goes_on(pools, from, NULL)) return false;
  *seen |= pool_nested_bit(from);
  for (struct list *link = pools->runners.next; link != &pools->runners; link = link->next) {
    const struct runner *runner = container_of(link, struct runner, link);
    if (runner->pool != from) continue;
    for (struct list *at = runner->nested.next; at != &runner->nested; at = at->next)
      if (reaches(pools, container_of(at, struct call, nested)->queue, to, seen)) return true;
  }
  return false;
}

bool pool_nested_would_deadlock(const struct pools *pools, const struct runner *runner,
                                const struct pool *pool) {
  uint64_t seen = 0;
  return !goes_on(pools, runner->pool, runner) && reaches(pools, pool, runner->pool, &seen);
}

void pool_nested_begin(struct runner *runner, struct call *call) {
  call->waiter = runner;
  list_push(&runner->nested, &call->nested);
  if (!call->spare && runner->waits++ == 0) runner->pool->waiting++;
}

void pool_nested_end(struct call *call) {
  struct runner *runner = call->waiter;
  if (!runner) return;
  struct pool *pool = runner->pool;
  call->waiter = NULL;
  list_remove(&call->nested);
  if (call->spare || --runner->waits > 0) return;
  pool->waiting--;
  if (runner->pools->stopping) return; /* they are all told to leave */
  if (pool_nested_has_surplus(pool) && !list_is_empty(&pool->idle))
    pool_runner_retire(container_of(pool->idle.next, struct runner, idle));
}

void pool_nested_end_all(struct runner *runner) {
  while (!list_is_empty(&runner->nested))
    pool_nested_end(container_of(runner->nested.next, struct call, nested));
}
