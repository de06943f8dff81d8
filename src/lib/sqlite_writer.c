/* sqlite_writer.c - the writer's turn: what was given up, then the innermost unit, then the queue.
 *
 * A statement that fails inside a transaction is undone by SQLite and leaves the rest as it was: so
 * a group needs no savepoints. Some failures (a full disk, an interruption) end the whole
 * transaction; then the other jobs of the group are run again, each by itself. The same when COMMIT
 * finds a deferred foreign key that nothing fulfils: only so it is known whose it is. */
#include "lib/sqlite_writer.h"

#include "base/limits.h"
#include "lib/sqlite_connection.h"
#include "lib/sqlite_cursor.h"
#include "lib/sqlite_database.h"
#include "lib/sqlite_job.h"
#include "lib/sqlite_run.h"
#include "lib/sqlite_unit.h"

#include <stdio.h>
#include <stdlib.h>

enum { SQL_BYTES = 64 };

struct writer {
  struct sqlite_database *database;
  struct sqlite_connection connection;
};

static struct sqlite_job *job_at(struct list *link) {
  return container_of(link, struct sqlite_job, link);
}

static bool open_connection(struct writer *writer, struct sqlite_failure *failure) {
  struct sqlite_database *database = writer->database;
  if (writer->connection.db) return true;
  bool is_open = sqlite_connection_open(&writer->connection, database->path, &database->options,
                                        false, failure);
  atomic_store(&database->has_failed, !is_open);
  sqlite_database_lock(database);
  database->is_open = is_open;
  sqlite_database_unlock(database);
  return is_open;
}

/* What is undone need not be told of. */
static void undo(struct writer *writer, const char *sql) {
  struct sqlite_failure ignored = {0};
  sqlite_connection_execute(&writer->connection, sql, &ignored);
  sqlite_failure_clear(&ignored);
}

static int depth_of(const struct sqlite_unit *unit) {
  int depth = 0;
  for (; unit && unit->parent; unit = unit->parent) depth++;
  return depth;
}

/* Runs "SAVEPOINT" or another word with the name of the savepoint that the unit is. */
static bool execute_named(struct writer *writer, const char *word, const struct sqlite_unit *unit,
                          struct sqlite_failure *failure) {
  char sql[SQL_BYTES];
  snprintf(sql, sizeof sql, "%s unit%d", word, depth_of(unit));
  return sqlite_connection_execute(&writer->connection, sql, failure);
}

/* ---- units ---- */

/* A transaction that SQLite has ended is over for all units in it. */
static void notice_loss(struct writer *writer) {
  struct sqlite_unit *unit = writer->database->unit;
  if (!unit || !sqlite_connection_is_idle(&writer->connection)) return;
  for (; unit; unit = unit->parent) unit->is_lost = true;
}

static void end_cursor(struct sqlite_cursor *cursor) {
  sqlite_cursor_end(cursor);
  cursor->connection = NULL;
}

/* A cursor that reads in the unit, taken off the list, or NULL. It counts as running: nobody else
 * touches it. */
static struct sqlite_cursor *take_cursor(struct sqlite_database *database,
                                         const struct sqlite_unit *unit) {
  struct sqlite_cursor *found = NULL;
  sqlite_database_lock(database);
  struct list *cursors = &database->cursors;
  for (struct list *link = cursors->next; link != cursors && !found; link = link->next) {
    struct sqlite_cursor *cursor = container_of(link, struct sqlite_cursor, link);
    if (cursor->unit == unit) found = cursor;
  }
  if (found) {
    list_remove(&found->link);
    found->is_running = true;
  }
  sqlite_database_unlock(database);
  return found;
}

/* The statements of cursors that read in it must not stay open. */
static void cut_cursors(struct writer *writer, const struct sqlite_unit *unit) {
  struct sqlite_database *database = writer->database;
  struct sqlite_cursor *cursor;
  while ((cursor = take_cursor(database, unit))) {
    cursor->is_cut = true;
    end_cursor(cursor);
    sqlite_database_lock(database);
    cursor->is_running = false;
    sqlite_database_unlock(database);
  }
}

/* Ends the innermost unit; what waits in it goes on in the one around it, or is given to `failed`
 * (may be NULL). */
static void leave(struct writer *writer, struct list *failed) {
  struct sqlite_database *database = writer->database;
  struct sqlite_unit *unit = database->unit;
  struct list *link;
  sqlite_database_lock(database);
  if (unit->parent) sqlite_unit_retain(unit->parent);
  database->unit = unit->parent;
  unit->state = SQLITE_UNIT_ENDED;
  atomic_store_explicit(&unit->is_aborted, false, memory_order_relaxed);
  while (failed && (link = list_pop(&unit->jobs))) {
    job_at(link)->state = SQLITE_JOB_TAKEN;
    database->waiting--;
    list_push(failed, link);
  }
  sqlite_database_move_jobs(database, unit);
  sqlite_database_unlock(database);
  sqlite_unit_release(unit);
}

static void fail_all(struct list *jobs, const struct sqlite_failure *failure) {
  struct list *link;
  while ((link = list_pop(jobs))) {
    struct sqlite_job *job = job_at(link);
    if (job->failure.code == SQLITE_OK) sqlite_failure_copy(&job->failure, failure);
    sqlite_job_finish(job);
  }
}

/* Rolls back the units from the innermost one to this one. */
static void roll_back(struct writer *writer, struct sqlite_unit *outermost) {
  struct sqlite_database *database = writer->database;
  struct list failed;
  list_init(&failed);
  sqlite_unit_retain(outermost);
  for (struct sqlite_unit *unit = NULL; unit != outermost;) {
    unit = database->unit;
    cut_cursors(writer, unit);
    if (unit == outermost && !unit->is_lost && !unit->parent) undo(writer, "ROLLBACK");
    if (unit == outermost && !unit->is_lost && unit->parent) {
      struct sqlite_failure ignored = {0};
      execute_named(writer, "ROLLBACK TO", unit, &ignored);
      execute_named(writer, "RELEASE", unit, &ignored);
      sqlite_failure_clear(&ignored);
    }
    leave(writer, &failed);
  }
  sqlite_unit_release(outermost);
  struct sqlite_failure failure = {0};
  sqlite_failure_set(&failure, SQLITE_ABORT_ROLLBACK, "the transaction was rolled back");
  fail_all(&failed, &failure);
  sqlite_failure_clear(&failure);
}

/* Nothing more is done in a transaction that SQLite has ended. */
static bool refuse_lost(const struct sqlite_unit *unit, struct sqlite_job *job) {
  if (!unit || !unit->is_lost) return false;
  sqlite_failure_set(&job->failure, SQLITE_ABORT_ROLLBACK,
                     "the transaction was rolled back when a statement failed");
  return true;
}

/* Those that waited beside the unit wait for the task that it belongs to from now on. */
static void tell_blocked(struct sqlite_database *database, struct list *queue) {
  struct list told, *link;
  list_init(&told);
  sqlite_database_lock(database);
  for (link = queue->next; link != queue; link = link->next) {
    struct sqlite_job *job = job_at(link);
    if (job->is_blocked) continue;
    job->is_blocked = true;
    sqlite_job_retain(job);
    list_push(&told, &job->told);
  }
  sqlite_database_unlock(database);
  while ((link = list_pop(&told)))
    sqlite_job_tell_blocked(container_of(link, struct sqlite_job, told));
}

static void begin(struct writer *writer, struct sqlite_job *job) {
  struct sqlite_database *database = writer->database;
  struct sqlite_unit *unit = job->begun, *parent = database->unit;
  bool is_done;
  if (refuse_lost(parent, job)) return;
  if (parent) sqlite_unit_retain(parent);
  sqlite_database_lock(database);
  unit->parent = parent;
  sqlite_database_unlock(database);
  writer->connection.job = job; /* for the wait for another process */
  if (parent)
    is_done = execute_named(writer, "SAVEPOINT", unit, &job->failure);
  else
    is_done = sqlite_connection_execute(&writer->connection, "BEGIN IMMEDIATE", &job->failure);
  writer->connection.job = NULL;
  if (!is_done) return;
  sqlite_unit_retain(unit);
  sqlite_database_lock(database);
  unit->state = SQLITE_UNIT_OPEN;
  database->unit = unit;
  sqlite_database_unlock(database);
  tell_blocked(database, parent ? &parent->jobs : &database->writes);
  sqlite_unit_release(parent); /* the database's */
}

/* The unit is the innermost one: jobs of others do not have a turn. */
static void commit(struct writer *writer, struct sqlite_job *job) {
  struct sqlite_unit *unit = job->unit;
  if (unit != writer->database->unit) {
    sqlite_failure_set(&job->failure, SQLITE_ABORT_ROLLBACK, "the transaction was rolled back");
    return;
  }
  cut_cursors(writer, unit);
  bool is_done;
  if (refuse_lost(unit, job))
    is_done = false;
  else if (unit->parent)
    is_done = execute_named(writer, "RELEASE", unit, &job->failure);
  else
    is_done = sqlite_connection_execute(&writer->connection, "COMMIT", &job->failure);
  if (is_done)
    leave(writer, NULL);
  else
    roll_back(writer, unit);
}

/* ---- cursors ---- */

static void read_cursor(struct writer *writer, struct sqlite_job *job) {
  struct sqlite_database *database = writer->database;
  struct sqlite_cursor *cursor = job->cursor;
  sqlite_database_lock(database);
  cursor->is_running = cursor->is_on_writer = true;
  list_remove(&cursor->link);
  list_push(&database->cursors, &cursor->link);
  sqlite_database_unlock(database);
  sqlite_cursor_read(job, &writer->connection);
  if (job->is_last) end_cursor(cursor);
  sqlite_database_lock(database);
  cursor->is_running = false;
  bool is_dropped = cursor->is_dropped;
  if (job->is_last || is_dropped) list_remove(&cursor->link);
  sqlite_database_unlock(database);
  if (is_dropped) end_cursor(cursor);
}

static void end_dropped(struct list *link) {
  struct sqlite_cursor *cursor = container_of(link, struct sqlite_cursor, link);
  end_cursor(cursor);
  sqlite_cursor_release(cursor);
}

/* ---- jobs ---- */

static void run(struct writer *writer, struct sqlite_job *job) {
  const struct sqlite_unit *unit = writer->database->unit;
  if (sqlite_job_is_given_up(job))
    sqlite_failure_set(&job->failure, SQLITE_INTERRUPT, "interrupted");
  else if (!refuse_lost(unit, job))
    sqlite_run(&writer->connection, job);
  notice_loss(writer);
}

static void do_job(struct writer *writer, struct sqlite_job *job) {
  if (open_connection(writer, &job->failure)) {
    switch (job->kind) {
    case SQLITE_JOB_OPEN:
      break;
    case SQLITE_JOB_RUN:
      run(writer, job);
      break;
    case SQLITE_JOB_BEGIN:
      begin(writer, job);
      break;
    case SQLITE_JOB_COMMIT:
      commit(writer, job);
      break;
    case SQLITE_JOB_NEXT:
      read_cursor(writer, job);
      break;
    }
  }
  sqlite_job_finish(job);
}

/* ---- groups ---- */

static void run_each(struct writer *writer, struct list *jobs) {
  struct list *link;
  while ((link = list_pop(jobs))) {
    sqlite_job_reset(job_at(link));
    do_job(writer, job_at(link));
  }
}

/* Runs them in the open transaction; false when one of them has ended it, and is finished. */
static bool run_all(struct writer *writer, struct list *jobs) {
  for (struct list *link = jobs->next; link != jobs; link = link->next) {
    struct sqlite_job *job = job_at(link);
    run(writer, job);
    if (!sqlite_connection_is_idle(&writer->connection)) continue;
    list_remove(link);
    sqlite_job_finish(job);
    return false;
  }
  return true;
}

static void finish_all(struct list *jobs) {
  struct list *link;
  while ((link = list_pop(jobs))) sqlite_job_finish(job_at(link));
}

static void run_group(struct writer *writer, struct list *jobs) {
  struct sqlite_connection *connection = &writer->connection;
  struct sqlite_failure failure = {0};
  if (!open_connection(writer, &failure) ||
      !sqlite_connection_execute(connection, "BEGIN IMMEDIATE", &failure)) {
    fail_all(jobs, &failure);
  } else if (!run_all(writer, jobs)) {
    run_each(writer, jobs);
  } else if (sqlite_connection_execute(connection, "COMMIT", &failure)) {
    finish_all(jobs);
  } else {
    if (!sqlite_connection_is_idle(connection)) undo(writer, "ROLLBACK");
    if ((failure.code & SQLITE_PRIMARY_MASK) == SQLITE_CONSTRAINT)
      run_each(writer, jobs);
    else
      fail_all(jobs, &failure);
  }
  sqlite_failure_clear(&failure);
}

/* ---- turns; under the lock, which is given up meanwhile ---- */

static struct list *take(struct sqlite_database *database, struct list *queue) {
  struct list *link = list_pop(queue);
  if (!link) return NULL;
  job_at(link)->state = SQLITE_JOB_TAKEN;
  database->waiting--;
  return link;
}

/* Whether there are more that may share a transaction with the first, which has been taken. */
static bool take_group(struct sqlite_database *database, struct list *first, struct list *jobs) {
  struct list *queue = &database->writes;
  int count = 1;
  list_init(jobs);
  if (database->unit || !job_at(first)->may_group) return false;
  for (; count < SQLITE_GROUP_MAX; count++) {
    if (list_is_empty(queue) || !job_at(queue->next)->may_group) break;
    list_push(jobs, take(database, queue));
  }
  if (count > 1) list_push_front(jobs, first);
  return count > 1;
}

/* The outermost open unit that was given up, or NULL. */
static struct sqlite_unit *find_aborted(const struct sqlite_database *database) {
  struct sqlite_unit *found = NULL;
  for (struct sqlite_unit *unit = database->unit; unit; unit = unit->parent)
    if (atomic_load_explicit(&unit->is_aborted, memory_order_relaxed)) found = unit;
  return found;
}

static bool do_next(struct writer *writer) {
  struct sqlite_database *database = writer->database;
  struct list jobs, *dropped = list_pop(&database->dropped_on_writer);
  struct sqlite_unit *aborted = find_aborted(database);
  struct list *queue = database->unit ? &database->unit->jobs : &database->writes;
  struct list *link = dropped || aborted ? NULL : take(database, queue);
  if (!dropped && !aborted && !link) return false;
  bool is_group = link && take_group(database, link, &jobs);
  sqlite_database_unlock(database);
  if (dropped) end_dropped(dropped);
  if (aborted) roll_back(writer, aborted);
  if (is_group)
    run_group(writer, &jobs);
  else if (link)
    do_job(writer, job_at(link));
  sqlite_database_lock(database);
  return true;
}

void sqlite_writer_run(struct sqlite_database *database) {
  struct writer writer = {.database = database};
  sqlite_database_lock(database);
  for (;;) {
    if (do_next(&writer)) continue;
    if (database->is_closing) break;
    sqlite_database_wait(database, &database->for_writer);
  }
  sqlite_database_unlock(database);
  sqlite_connection_close(&writer.connection);
}
