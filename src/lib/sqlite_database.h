/* sqlite_database.h - an open database: its queues, and the threads that work them off.
 *
 * One for each file and process: one thread writes, a few read. Threads and connections are made
 * when they are needed, and end when nobody holds the database any more. Jobs of one queue are done
 * in the order of submitting. */
#ifndef LIB_SQLITE_DATABASE_H
#define LIB_SQLITE_DATABASE_H

#include "base/list.h"
#include "lib/sqlite_connection.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct sqlite_cursor;
struct sqlite_job;
struct sqlite_registry;
struct sqlite_unit;

struct sqlite_database {
  struct list listed; /* sqlite_registry.databases */
  struct sqlite_registry *registry;
  _Atomic(int) references;
  uint64_t id; /* in the process */
  char *path;  /* owned; absolute, or ":memory:" */
  bool is_memory;
  dev_t device; /* with the inode, which file it is */
  ino_t inode;
  struct sqlite_options options;
  _Atomic(bool) has_failed; /* its writer could not open the file */

  uv_mutex_t _lock; /* guards all below; the registry's lock may be taken inside it */
  uv_cond_t for_writer, for_readers;
  struct list writes, reads;              /* sqlite_job.link; writes that belong to no unit */
  int waiting;                            /* jobs in queues, those of units too */
  struct list units;                      /* sqlite_unit.link */
  struct sqlite_unit *unit;               /* the innermost that is open, a reference; NULL: none */
  struct list cursors;                    /* sqlite_cursor.link: those on the writer's connection */
  struct list dropped, dropped_on_writer; /* sqlite_cursor.link */
  struct list spare;                      /* sqlite_connection.link: no reader has them */
  int spare_count, cursor_count;
  int readers, idle_readers, threads;
  bool has_writer, is_closing;
  bool is_open; /* its writer has opened the file */
};

/* [any thread] A database that nobody has opened yet, held by the caller. The registry lists it. */
struct sqlite_database *sqlite_database_create(struct sqlite_registry *registry, const char *path,
                                               const struct sqlite_options *options);

/* [any thread] One more who holds it, and one less: the last one ends its threads. */
void sqlite_database_retain(struct sqlite_database *database);
void sqlite_database_release(struct sqlite_database *database);

/* [any thread] One more who holds it, unless it is about to end: false. */
bool sqlite_database_try_retain(struct sqlite_database *database);

/* [any thread] Nobody holds it any more: called by the registry, which has taken it off its list.
 */
void sqlite_database_close(struct sqlite_database *database);

/* [any thread] Whether its writer has opened the file. */
bool sqlite_database_is_open(struct sqlite_database *database);

/* [any thread] Puts a job into the queue it belongs to. False when too many wait. `is_due` tells
 * whether it waits for no transaction of others: may be NULL. */
bool sqlite_database_submit(struct sqlite_database *database, struct sqlite_job *job, bool *is_due);

/* [any thread] Puts a job that a reader has taken into the writer's queue. */
void sqlite_database_pass_on(struct sqlite_database *database, struct sqlite_job *job);

/* [any thread] Takes a job out of its queue: false when it is in none (any more). */
bool sqlite_database_take_back(struct sqlite_database *database, struct sqlite_job *job);

/* [any thread] Puts the jobs of a unit that has ended into the queues of those around it. Under the
 * lock. */
void sqlite_database_move_jobs(struct sqlite_database *database, struct sqlite_unit *unit);

/* [any thread] What its own threads use. The lock is held for a few instructions. */
void sqlite_database_lock(struct sqlite_database *database);
void sqlite_database_unlock(struct sqlite_database *database);
void sqlite_database_wait(struct sqlite_database *database, uv_cond_t *condition);
void sqlite_database_wake_writer(struct sqlite_database *database);

/* [any thread] A thread of it has ended, or could not be started. */
void sqlite_database_end_thread(struct sqlite_database *database);
void sqlite_database_lose_thread(struct sqlite_database *database, bool is_writer);

/* [any thread] Lists a unit, and takes it off again. */
void sqlite_database_add_unit(struct sqlite_database *database, struct sqlite_unit *unit);
void sqlite_database_remove_unit(struct sqlite_database *database, struct sqlite_unit *unit);

/* [any thread] The unit of that id, a reference for the caller, or NULL. */
struct sqlite_unit *sqlite_database_find_unit(struct sqlite_database *database, uint64_t id);

/* [any thread] Counts a cursor, false when there are too many; and takes it off the count. */
bool sqlite_database_count_cursor(struct sqlite_database *database);
void sqlite_database_uncount_cursor(struct sqlite_database *database);

/* [any thread] Has a cursor's thread give back what it has. */
void sqlite_database_drop_cursor(struct sqlite_database *database, struct sqlite_cursor *cursor);

#endif
