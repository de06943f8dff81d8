/* sqlite_cursor.c - the life of a cursor, and reading a batch of rows.
 *
 * A batch ends after so many bytes or rows: what waits for its reader is bounded. A cursor is
 * dropped by the thread that has its connection: at once, or when the running job has ended. */
#include "lib/sqlite_cursor.h"

#include "base/limits.h"
#include "lib/sqlite_connection.h"
#include "lib/sqlite_database.h"
#include "lib/sqlite_job.h"
#include "lib/sqlite_unit.h"

#include <stdlib.h>

struct sqlite_cursor *sqlite_cursor_create(struct sqlite_job *job) {
  if (!sqlite_database_count_cursor(job->database)) return NULL;
  struct sqlite_cursor *cursor = memory_alloc_zero(sizeof *cursor);
  atomic_init(&cursor->references, 2);
  list_init(&cursor->link);
  sqlite_database_retain(job->database);
  cursor->database = job->database;
  if (job->unit) sqlite_unit_retain(job->unit);
  cursor->unit = job->unit;
  cursor->sql = job->sql;
  cursor->parameters = job->parameters;
  job->sql = (struct buffer){0};
  job->parameters = (struct sqlite_parameters){0};
  job->cursor = cursor;
  return cursor;
}

void sqlite_cursor_release(struct sqlite_cursor *cursor) {
  if (!cursor) return;
  if (atomic_fetch_sub_explicit(&cursor->references, 1, memory_order_acq_rel) > 1) return;
  sqlite_database_uncount_cursor(cursor->database);
  sqlite_unit_release(cursor->unit);
  sqlite_database_release(cursor->database);
  buffer_finish(&cursor->sql);
  buffer_finish(&cursor->parameters.bytes);
  free(cursor);
}

void sqlite_cursor_drop(struct sqlite_cursor *cursor) {
  sqlite_database_drop_cursor(cursor->database, cursor);
  sqlite_cursor_release(cursor);
}

void sqlite_cursor_end(struct sqlite_cursor *cursor) {
  if (cursor->connection) sqlite_connection_give(cursor->connection, cursor->statement);
  cursor->statement = NULL;
}

/* ---- reading ---- */

static bool begin(struct sqlite_cursor *cursor, struct sqlite_failure *failure) {
  size_t used;
  const struct slice sql = {cursor->sql.data, cursor->sql.len};
  struct sqlite_connection *connection = cursor->connection;
  if (!sqlite_connection_take(connection, sql, &cursor->statement, &used, failure)) return false;
  if (!cursor->statement) return sqlite_failure_misuse(failure, "the SQL is empty");
  if (!sqlite_job_is_all(sql, used))
    return sqlite_failure_misuse(failure, "the SQL has more than one statement");
  if (!sqlite3_stmt_readonly(cursor->statement->stmt))
    return sqlite_failure_misuse(failure, "db:rows is for reading: use db:query for a statement "
                                          "that writes");
  return sqlite_value_bind(cursor->statement->stmt, &cursor->parameters, failure);
}

static bool is_full(const struct sqlite_job *job) {
  return job->rows.len >= SQLITE_BATCH_BYTES || job->row_count >= SQLITE_BATCH_ROWS;
}

static void read_batch(struct sqlite_job *job, sqlite3_stmt *stmt) {
  while (!is_full(job)) {
    int code = sqlite3_step(stmt);
    job->is_last = code != SQLITE_ROW;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
      sqlite_failure_take(&job->failure, sqlite3_db_handle(stmt));
    if (job->is_last) return;
    if (job->row_count++ == 0) sqlite_value_add_names(&job->rows, stmt);
    sqlite_value_add_row(&job->rows, stmt);
  }
}

void sqlite_cursor_read(struct sqlite_job *job, struct sqlite_connection *connection) {
  struct sqlite_cursor *cursor = job->cursor;
  job->is_last = true;
  if (cursor->is_cut) {
    sqlite_failure_set(&job->failure, SQLITE_ABORT, "the transaction has ended");
    return;
  }
  cursor->connection = connection;
  connection->job = job;
  if (cursor->statement || begin(cursor, &job->failure)) read_batch(job, cursor->statement->stmt);
  connection->job = NULL;
  if (job->is_last) sqlite_cursor_end(cursor);
}
