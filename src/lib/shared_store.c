/* shared_store.c - a list of tables, made under a gate and read without.
 *
 * Tables are never taken off the list while there is a store. */
#include "lib/shared_store.h"

#include "base/limits.h"
#include "base/settings.h"
#include "core/snapshot.h"
#include "core/worker.h"

#include <stdlib.h>

struct shared_store {
  _Atomic(unsigned) references;
  struct gate gate; /* guards what is added to the tables */
  int count;        /* of them */
  struct shared_budget budget;
};

static void *create(const void *context) {
  const struct process *process = context;
  struct shared_store *store = memory_alloc_zero(sizeof *store);
  atomic_init(&store->references, 1);
  store->budget.bytes_max = process->settings->shared_bytes_max;
  return store;
}

struct shared_store *shared_store_retain(struct shared_store *store) {
  atomic_fetch_add_explicit(&store->references, 1, memory_order_relaxed);
  return store;
}

void shared_store_release(struct shared_store *store) {
  if (!store || atomic_fetch_sub_explicit(&store->references, 1, memory_order_acq_rel) > 1) return;
  shared_table_destroy_all(&store->budget);
  free(store);
}

static void release(void *part) {
  shared_store_release(part);
}

struct shared_store *shared_store_of(const struct worker *worker) {
  static const struct snapshot_part part = {create, release};
  return worker->snapshot ? snapshot_share(worker->snapshot, &part, worker->process) : NULL;
}

static struct shared_table *add(struct shared_store *store, const char *name,
                                const struct shared_options *options) {
  static const struct shared_options defaults = {0};
  struct shared_table *table = shared_table_find(&store->budget, name);
  if (table || store->count == SHARED_TABLES_MAX) return table;
  store->count++;
  return shared_table_create(name, options ? options : &defaults, &store->budget);
}

struct shared_table *shared_store_find(struct shared_store *store, const char *name,
                                       const struct shared_options *options,
                                       enum shared_store_problem *problem) {
  struct shared_table *table = shared_table_find(&store->budget, name);
  *problem = SHARED_STORE_NONE;
  if (!table) {
    gate_enter(&store->gate);
    table = add(store, name, options);
    gate_leave(&store->gate);
    if (!table) *problem = SHARED_STORE_TOO_MANY;
  }
  if (!table || !options) return table;
  const struct shared_options *own = shared_table_options(table);
  if (own->bytes_max == options->bytes_max && own->evicts == options->evicts) return table;
  *problem = SHARED_STORE_DIFFERS;
  return NULL;
}

size_t shared_store_bytes_max(const struct shared_store *store) {
  return store->budget.bytes_max;
}
