/* sqlite_reader.c - taking jobs off the queue of reads, and connections for them.
 *
 * A connection is kept for each reader; those that cursors needed beyond that are closed when they
 * come back. */
#include "lib/sqlite_reader.h"

#include "lib/sqlite_connection.h"
#include "lib/sqlite_cursor.h"
#include "lib/sqlite_database.h"
#include "lib/sqlite_job.h"
#include "lib/sqlite_run.h"

#include <stdlib.h>

/* ---- connections ---- */

static void close_connection(struct sqlite_connection *connection) {
  sqlite_connection_close(connection);
  free(connection);
}

/* NULL, and why, when there is none. */
static struct sqlite_connection *take_connection(struct sqlite_database *database,
                                                 struct sqlite_failure *failure) {
  sqlite_database_lock(database);
  struct list *link = list_pop(&database->spare);
  if (link) database->spare_count--;
  sqlite_database_unlock(database);
  if (link) return container_of(link, struct sqlite_connection, link);
  struct sqlite_connection *connection = memory_alloc_zero(sizeof *connection);
  if (sqlite_connection_open(connection, database->path, &database->options, true, failure))
    return connection;
  free(connection);
  return NULL;
}

static void give_connection(struct sqlite_database *database,
                            struct sqlite_connection *connection) {
  sqlite_database_lock(database);
  bool is_kept = database->spare_count < database->options.readers;
  if (is_kept) {
    list_push_front(&database->spare, &connection->link);
    database->spare_count++;
  }
  sqlite_database_unlock(database);
  if (!is_kept) close_connection(connection);
}

static void close_spare(struct sqlite_database *database) {
  struct list *link;
  do {
    sqlite_database_lock(database);
    link = list_pop(&database->spare);
    sqlite_database_unlock(database);
    if (link) close_connection(container_of(link, struct sqlite_connection, link));
  } while (link);
}

/* ---- cursors ---- */

static void end_cursor(struct sqlite_database *database, struct sqlite_cursor *cursor) {
  struct sqlite_connection *connection = cursor->connection;
  if (!connection) return;
  sqlite_cursor_end(cursor);
  cursor->connection = NULL;
  give_connection(database, connection);
}

/* It may have been dropped meanwhile. */
static void stop_cursor(struct sqlite_database *database, struct sqlite_cursor *cursor,
                        bool is_last) {
  if (is_last) end_cursor(database, cursor);
  sqlite_database_lock(database);
  cursor->is_running = false;
  bool is_dropped = cursor->is_dropped;
  sqlite_database_unlock(database);
  if (is_dropped) end_cursor(database, cursor);
}

static void read_cursor(struct sqlite_database *database, struct sqlite_job *job) {
  struct sqlite_cursor *cursor = job->cursor;
  struct sqlite_connection *connection = cursor->connection;
  job->is_last = true;
  if (!connection) connection = take_connection(database, &job->failure);
  if (connection) sqlite_cursor_read(job, connection);
  stop_cursor(database, cursor, job->is_last);
}

/* ---- jobs ---- */

static void do_job(struct sqlite_database *database, struct sqlite_job *job) {
  bool is_done = true;
  if (job->kind == SQLITE_JOB_NEXT) {
    read_cursor(database, job);
  } else {
    struct sqlite_connection *connection = take_connection(database, &job->failure);
    if (connection) {
      is_done = sqlite_run_reading(connection, job);
      give_connection(database, connection);
    }
  }
  if (is_done)
    sqlite_job_finish(job);
  else
    sqlite_database_pass_on(database, job);
}

/* Under the lock, which is given up meanwhile. */
static bool do_next(struct sqlite_database *database) {
  struct list *dropped = list_pop(&database->dropped);
  struct list *link = dropped ? NULL : list_pop(&database->reads);
  if (!dropped && !link) return false;
  struct sqlite_job *job = link ? container_of(link, struct sqlite_job, link) : NULL;
  if (job) {
    job->state = SQLITE_JOB_TAKEN;
    database->waiting--;
    if (job->cursor) job->cursor->is_running = true;
  }
  sqlite_database_unlock(database);
  if (dropped) {
    struct sqlite_cursor *cursor = container_of(dropped, struct sqlite_cursor, link);
    end_cursor(database, cursor);
    sqlite_cursor_release(cursor);
  } else {
    do_job(database, job);
  }
  sqlite_database_lock(database);
  return true;
}

void sqlite_reader_run(struct sqlite_database *database) {
  sqlite_database_lock(database);
  for (;;) {
    if (do_next(database)) continue;
    if (database->is_closing) break;
    database->idle_readers++;
    sqlite_database_wait(database, &database->for_readers);
    database->idle_readers--;
  }
  sqlite_database_unlock(database);
  close_spare(database);
}
