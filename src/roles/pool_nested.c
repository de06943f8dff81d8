/* pool_nested.c - the accounts of waiting threads, and the look for circles.
 *
 * A thread goes on if all calls that it waits for do: one that runs if its thread does, one that is
 * queued if some thread of the pool does, or another may be started there. At all times all threads
 * go on: whoever is about to wait for a pool that would not, without it, is looked at first. A
 * thread that takes a call of a child runs it at once, so this is no wait. */
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

/* ---- the look for circles ---- */

/* What runs goes on with its thread, what is queued with its pool. */
static bool call_goes_on(const struct call *call) {
  if (call->state == CALL_RUNNING) return ((const struct runner *)call->runner)->goes_on;
  return ((const struct pool *)call->queue)->goes_on;
}

static bool all_go_on(const struct list *nested) {
  for (const struct list *link = nested->next; link != nested; link = link->next)
    if (!call_goes_on(container_of(link, const struct call, nested))) return false;
  return true;
}

/* Notes the threads that wait for nobody but are not `about_to_wait`, and the pools that may start
 * one. */
static void begin_look(const struct pools *pools, const struct runner *about_to_wait) {
  for (struct list *link = pools->pools.next; link != &pools->pools; link = link->next) {
    struct pool *pool = container_of(link, struct pool, link);
    bool has_it = pool == about_to_wait->pool;
    pool->goes_on = may_start(pool, pool->waiting + (has_it && about_to_wait->waits == 0));
  }
  for (struct list *link = pools->runners.next; link != &pools->runners; link = link->next)
    container_of(link, struct runner, link)->goes_on = false;
}

/* Notes further threads that go on, and so their pools; false if there are none. */
static bool look_on(const struct pools *pools, const struct runner *about_to_wait) {
  bool found = false;
  for (struct list *link = pools->runners.next; link != &pools->runners; link = link->next) {
    struct runner *runner = container_of(link, struct runner, link);
    if (runner->goes_on || runner->left || runner == about_to_wait) continue;
    if (!all_go_on(&runner->nested)) continue;
    found = runner->goes_on = runner->pool->goes_on = true;
  }
  return found;
}

bool pool_nested_would_deadlock(const struct pools *pools, const struct runner *runner,
                                const struct pool *pool) {
  if (pool_nested_has_free_thread(pools, pool, runner)) return false;
  begin_look(pools, runner);
  while (!pool->goes_on && look_on(pools, runner)) continue;
  return !pool->goes_on;
}

/* ---- the accounts ---- */

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
