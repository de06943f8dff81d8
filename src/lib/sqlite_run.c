/* sqlite_run.c - from a job's SQL to its rows, its changes or its failure.
 *
 * A statement that reads stops after the last row that is wanted; one that writes goes to its end
 * in any case. */
#include "lib/sqlite_run.h"

#include "base/limits.h"
#include "lib/sqlite_connection.h"
#include "lib/sqlite_job.h"

/* ---- one statement ---- */

static bool add_row(struct sqlite_job *job, sqlite3_stmt *stmt) {
  if (job->row_count++ == 0) sqlite_value_add_names(&job->rows, stmt);
  sqlite_value_add_row(&job->rows, stmt);
  return job->rows.len <= SQLITE_RESULT_BYTES_MAX ||
         sqlite_failure_set(&job->failure, SQLITE_TOOBIG,
                            "the result is larger than %d MiB: use db:rows",
                            SQLITE_RESULT_BYTES_MAX / (1024 * 1024));
}

static bool step(struct sqlite_job *job, sqlite3_stmt *stmt) {
  bool is_reading = sqlite3_stmt_readonly(stmt) != 0;
  for (;;) {
    int code = sqlite3_step(stmt);
    if (code == SQLITE_DONE) return true;
    if (code != SQLITE_ROW) return sqlite_failure_take(&job->failure, sqlite3_db_handle(stmt));
    bool has_all = job->wanted == SQLITE_WANTED_FIRST && job->row_count > 0;
    if (job->wanted == SQLITE_WANTED_NONE || has_all) continue;
    if (!add_row(job, stmt)) return false;
    if (job->wanted == SQLITE_WANTED_FIRST && is_reading) return true;
  }
}

/* Statements that change no row leave these counts as they were. */
static bool step_and_count(struct sqlite_job *job, sqlite3_stmt *stmt) {
  sqlite3 *db = sqlite3_db_handle(stmt);
  int64_t before = sqlite3_total_changes64(db);
  sqlite3_set_last_insert_rowid(db, 0);
  if (!step(job, stmt)) return false;
  if (sqlite3_total_changes64(db) != before) job->changes += sqlite3_changes64(db);
  if (sqlite3_last_insert_rowid(db)) job->inserted_id = sqlite3_last_insert_rowid(db);
  return true;
}

static bool run_statement(struct sqlite_job *job, const struct sqlite_statement *statement) {
  return sqlite_value_bind(statement->stmt, &job->parameters, &job->failure) &&
         step_and_count(job, statement->stmt);
}

/* ---- several ---- */

static bool run_script_rest(struct sqlite_connection *connection, struct sqlite_job *job) {
  struct slice sql = {job->sql.data, job->sql.len};
  while (sql.len > 0) {
    struct sqlite_statement *statement;
    size_t used;
    if (!sqlite_connection_take(connection, sql, &statement, &used, &job->failure)) return false;
    bool is_done = !statement || run_statement(job, statement);
    sqlite_connection_give(connection, statement);
    if (!is_done) return false;
    sql = (struct slice){sql.data + used, sql.len - used};
  }
  return true;
}

/* As a whole or not at all: alone it is a transaction, inside one a savepoint. */
static bool run_script(struct sqlite_connection *connection, struct sqlite_job *job) {
  bool is_alone = sqlite_connection_is_idle(connection);
  struct sqlite_failure *failure = &job->failure, ignored = {0};
  if (job->wanted != SQLITE_WANTED_NONE)
    return sqlite_failure_misuse(failure, "the SQL has more than one statement");
  if (!sqlite_connection_execute(connection, is_alone ? "BEGIN IMMEDIATE" : "SAVEPOINT script",
                                 failure))
    return false;
  bool is_done = run_script_rest(connection, job);
  if (is_done)
    is_done =
        sqlite_connection_execute(connection, is_alone ? "COMMIT" : "RELEASE script", failure);
  if (!is_done && !sqlite_connection_is_idle(connection)) {
    sqlite_connection_execute(connection, is_alone ? "ROLLBACK" : "ROLLBACK TO script", &ignored);
    if (!is_alone) sqlite_connection_execute(connection, "RELEASE script", &ignored);
  }
  sqlite_failure_clear(&ignored);
  return is_done;
}

/* ---- a job ---- */

static bool run(struct sqlite_connection *connection, struct sqlite_job *job, bool may_write) {
  const struct slice sql = {job->sql.data, job->sql.len};
  struct sqlite_statement *statement;
  size_t used;
  bool is_its = true;
  connection->job = job;
  if (sqlite_connection_take(connection, sql, &statement, &used, &job->failure)) {
    bool is_all = sqlite_job_is_all(sql, used);
    is_its = may_write || !statement || sqlite3_stmt_readonly(statement->stmt);
    bool has_parameters = job->parameters.count > 0 || job->parameters.are_named;
    if (is_its && !is_all && has_parameters)
      sqlite_failure_misuse(&job->failure,
                            "SQL with parameters has one statement, but this has more");
    else if (is_its && is_all && !statement)
      sqlite_failure_misuse(&job->failure, "the SQL is empty");
    else if (is_its && is_all)
      run_statement(job, statement);
    sqlite_connection_give(connection, statement);
    if (is_its && !is_all && !has_parameters) run_script(connection, job);
  }
  connection->job = NULL;
  return is_its;
}

bool sqlite_run_reading(struct sqlite_connection *connection, struct sqlite_job *job) {
  return run(connection, job, false);
}

void sqlite_run(struct sqlite_connection *connection, struct sqlite_job *job) {
  run(connection, job, true);
}
