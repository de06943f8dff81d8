/* sqlite_unit.c - what a unit is for those who use it; the writer opens and ends it.
 *
 * The chain from an open unit outwards never changes: each unit keeps the one around it. */
#include "lib/sqlite_unit.h"

#include "base/base.h"
#include "lib/sqlite_database.h"
#include "lib/sqlite_registry.h"

#include <stdlib.h>

struct sqlite_unit *sqlite_unit_create(struct sqlite_database *database) {
  struct sqlite_unit *unit = memory_alloc_zero(sizeof *unit);
  atomic_init(&unit->references, 1);
  list_init(&unit->link);
  list_init(&unit->jobs);
  sqlite_database_retain(database);
  unit->database = database;
  unit->id = sqlite_registry_next_id(database->registry);
  sqlite_database_add_unit(database, unit);
  return unit;
}

void sqlite_unit_retain(struct sqlite_unit *unit) {
  atomic_fetch_add_explicit(&unit->references, 1, memory_order_relaxed);
}

void sqlite_unit_release(struct sqlite_unit *unit) {
  while (unit && atomic_fetch_sub_explicit(&unit->references, 1, memory_order_acq_rel) == 1) {
    struct sqlite_unit *parent = unit->parent;
    sqlite_database_remove_unit(unit->database, unit);
    sqlite_database_release(unit->database);
    free(unit);
    unit = parent;
  }
}

void sqlite_unit_abort(struct sqlite_unit *unit) {
  struct sqlite_database *database = unit->database;
  sqlite_database_lock(database);
  if (unit->state != SQLITE_UNIT_ENDED) {
    atomic_store_explicit(&unit->is_aborted, true, memory_order_relaxed);
    sqlite_database_wake_writer(database);
  }
  sqlite_database_unlock(database);
}

bool sqlite_unit_is_aborted(const struct sqlite_unit *unit) {
  for (; unit; unit = unit->parent)
    if (atomic_load_explicit(&unit->is_aborted, memory_order_relaxed)) return true;
  return false;
}

bool sqlite_unit_is_open(struct sqlite_unit *unit) {
  sqlite_database_lock(unit->database);
  bool is_open = unit->state == SQLITE_UNIT_OPEN;
  sqlite_database_unlock(unit->database);
  return is_open;
}

bool sqlite_unit_is_within(struct sqlite_unit *unit, const struct sqlite_unit *outer) {
  sqlite_database_lock(unit->database);
  const struct sqlite_unit *at = sqlite_unit_find_open(unit);
  while (at && at != outer) at = at->parent;
  sqlite_database_unlock(unit->database);
  return at != NULL;
}

struct sqlite_unit *sqlite_unit_find_open(struct sqlite_unit *unit) {
  while (unit && unit->state == SQLITE_UNIT_ENDED) unit = unit->parent;
  return unit;
}
