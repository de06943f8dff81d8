/* sqlite_unit.h - a unit of work on a database: a transaction, or a savepoint inside one.
 *
 * While a unit is open, the writer does what belongs to it and nothing else; the innermost one has
 * its turn alone. Jobs of a unit that has ended belong to the one around it. Whoever gives a unit
 * up need not wait: the writer rolls it back before it does anything else. */
#ifndef LIB_SQLITE_UNIT_H
#define LIB_SQLITE_UNIT_H

#include "base/list.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sqlite_database;

enum sqlite_unit_state { SQLITE_UNIT_NEW, SQLITE_UNIT_OPEN, SQLITE_UNIT_ENDED };

struct sqlite_unit {
  struct list link; /* sqlite_database.units */
  _Atomic(int) references;
  _Atomic(bool) is_aborted;         /* it is to be rolled back */
  struct sqlite_database *database; /* a reference, as the next */
  struct sqlite_unit *parent;       /* that a savepoint is in; set when it is opened */
  uint64_t id;                      /* in the process */
  enum sqlite_unit_state state;     /* under the database's lock, as the next */
  struct list jobs;                 /* sqlite_job.link */
  bool is_lost; /* the writer's own: SQLite has rolled the transaction back by itself */
};

/* [any thread] A new unit, held by the caller. */
struct sqlite_unit *sqlite_unit_create(struct sqlite_database *database);

/* [any thread] One more who holds it, and one less; accepts NULL. */
void sqlite_unit_retain(struct sqlite_unit *unit);
void sqlite_unit_release(struct sqlite_unit *unit);

/* [any thread] Gives it up, whatever its state; one that has ended is left alone. */
void sqlite_unit_abort(struct sqlite_unit *unit);

/* [any thread] Whether it, or one around it, has been given up. */
bool sqlite_unit_is_aborted(const struct sqlite_unit *unit);

/* [any thread] Whether it is open. */
bool sqlite_unit_is_open(struct sqlite_unit *unit);

/* [any thread] Whether it is open inside another one, or is that one. */
bool sqlite_unit_is_within(struct sqlite_unit *unit, const struct sqlite_unit *outer);

/* [any thread] The innermost that has not ended of the unit and those around it, or NULL. Under the
 * database's lock. */
struct sqlite_unit *sqlite_unit_find_open(struct sqlite_unit *unit);

#endif
