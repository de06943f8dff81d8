/* sqlite_connection.c - opening, preparing, keeping statements, and the three hooks.
 *
 * The progress handler is what interrupts: it looks at the job that runs, so it cannot hit another
 * one. SQLite calls the busy handler while another process has the lock; its own timeout sleeps on
 * whatever becomes of the caller. The authorizer sees what is prepared. */
#include "lib/sqlite_connection.h"

#include "base/hash.h"
#include "base/limits.h"
#include "lib/sqlite_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#define NS_PER_MILLISECOND 1000000ull

/* ---- hooks ---- */

static int is_given_up(void *context) {
  const struct sqlite_connection *connection = context;
  return connection->job && sqlite_job_is_given_up(connection->job);
}

/* 1: tries again. */
static int wait_for_lock(void *context, int tries) {
  struct sqlite_connection *connection = context;
  uint64_t now_ns = uv_hrtime();
  if (tries == 0) connection->busy_since_ns = now_ns;
  bool is_over = now_ns - connection->busy_since_ns >= connection->busy_timeout_ns;
  if (is_over || is_given_up(context)) return 0;
  long wait_ms = tries < SQLITE_BUSY_LOOK_MS ? tries + 1 : SQLITE_BUSY_LOOK_MS;
  const struct timespec wait = {.tv_nsec = wait_ms * (long)NS_PER_MILLISECOND};
  nanosleep(&wait, NULL);
  return 1;
}

/* What a statement prepares when it runs is SQLite's own: VACUUM begins a transaction. */
static int check_action(void *context, int action, const char *first, const char *second,
                        const char *schema, const char *trigger) {
  struct sqlite_connection *connection = context;
  (void)first, (void)second, (void)schema, (void)trigger;
  if (connection->is_internal || !connection->is_preparing) return SQLITE_OK;
  if (action == SQLITE_TRANSACTION || action == SQLITE_SAVEPOINT)
    connection->refused = "BEGIN, COMMIT, ROLLBACK and SAVEPOINT are not for SQL: use "
                          "db:transaction";
  else if (action == SQLITE_ATTACH)
    connection->refused = "ATTACH would hold for one of the database's connections: open that "
                          "database by itself";
  return connection->refused ? SQLITE_DENY : SQLITE_OK;
}

/* ---- open and close ---- */

static bool set_pragmas(struct sqlite_connection *connection, const struct sqlite_options *options,
                        bool for_reading, struct sqlite_failure *failure) {
  static const char *const synchronous[] = {
      "PRAGMA synchronous = OFF", "PRAGMA synchronous = NORMAL", "PRAGMA synchronous = FULL"};
  if (!sqlite_connection_execute(connection, "PRAGMA foreign_keys = ON", failure)) return false;
  if (for_reading || options->readonly) return true;
  return sqlite_connection_execute(connection, synchronous[options->synchronous], failure);
}

/* A file system without shared memory keeps another mode: then readers and the writer would lock
 * each other out. */
static bool try_wal(struct sqlite_connection *connection, struct sqlite_failure *failure) {
  sqlite3_stmt *stmt = NULL;
  bool is_wal = false;
  sqlite_failure_clear(failure);
  int code = sqlite3_prepare_v2(connection->db, "PRAGMA journal_mode = WAL", -1, &stmt, NULL);
  if (code == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
    const char *mode = (const char *)sqlite3_column_text(stmt, 0);
    is_wal = mode && strcmp(mode, "wal") == 0;
    if (!is_wal)
      sqlite_failure_set(failure, SQLITE_CANTOPEN, "its file system has no write-ahead log");
  } else {
    sqlite_failure_take(failure, connection->db);
  }
  sqlite3_finalize(stmt);
  return is_wal;
}

/* SQLite does not wait for others that set it at the same time. */
static bool set_wal(struct sqlite_connection *connection, struct sqlite_failure *failure) {
  for (int tries = 0;; tries++) {
    if (try_wal(connection, failure)) return true;
    bool is_busy = (failure->code & SQLITE_PRIMARY_MASK) == SQLITE_BUSY;
    if (!is_busy || !wait_for_lock(connection, tries)) return false;
  }
}

static int flags_of(const struct sqlite_options *options, bool for_reading) {
  int flags = SQLITE_OPEN_NOMUTEX;
  if (options->readonly) return flags | SQLITE_OPEN_READONLY;
  /* A reader opened so that it could not write could not make the log's shared memory either. */
  flags |= SQLITE_OPEN_READWRITE;
  return options->create && !for_reading ? flags | SQLITE_OPEN_CREATE : flags;
}

bool sqlite_connection_open(struct sqlite_connection *connection, const char *path,
                            const struct sqlite_options *options, bool for_reading,
                            struct sqlite_failure *failure) {
  bool is_memory = strcmp(path, ":memory:") == 0;
  *connection = (struct sqlite_connection){.statements_max = options->statements,
                                           .busy_timeout_ns = options->busy_timeout_ns};
  list_init(&connection->link);
  list_init(&connection->statements);
  int code = sqlite3_open_v2(path, &connection->db, flags_of(options, for_reading), NULL);
  if (code == SQLITE_OK) {
    sqlite3 *db = connection->db;
    sqlite3_busy_handler(db, wait_for_lock, connection);
    sqlite3_progress_handler(db, SQLITE_PROGRESS_STEPS, is_given_up, connection);
    sqlite3_set_authorizer(db, check_action, connection);
    bool is_ready = set_pragmas(connection, options, for_reading, failure);
    if (is_ready && !is_memory && !for_reading && !options->readonly)
      is_ready = set_wal(connection, failure);
    if (is_ready) return true;
  } else {
    sqlite_failure_take(failure, connection->db);
  }
  sqlite_connection_close(connection);
  return false;
}

static void free_statement(struct sqlite_statement *statement) {
  sqlite3_finalize(statement->stmt);
  free(statement->sql);
  free(statement);
}

void sqlite_connection_close(struct sqlite_connection *connection) {
  if (!connection->db) return;
  struct list *link;
  while ((link = list_pop(&connection->statements)))
    free_statement(container_of(link, struct sqlite_statement, link));
  connection->statement_count = 0;
  sqlite3_close_v2(connection->db);
  connection->db = NULL;
}

bool sqlite_connection_is_idle(const struct sqlite_connection *connection) {
  return sqlite3_get_autocommit(connection->db) != 0;
}

/* ---- statements ---- */

static struct sqlite_statement *take_kept(struct sqlite_connection *connection, struct slice sql,
                                          uint64_t hash) {
  struct list *kept = &connection->statements;
  for (struct list *link = kept->next; link != kept; link = link->next) {
    struct sqlite_statement *statement = container_of(link, struct sqlite_statement, link);
    if (statement->hash != hash || statement->len != sql.len) continue;
    if (memcmp(statement->sql, sql.data, sql.len) != 0) continue;
    list_remove(link);
    connection->statement_count--;
    return statement;
  }
  return NULL;
}

/* What is kept is its statement alone: another text after it is another statement. */
static struct sqlite_statement *make_statement(sqlite3_stmt *stmt, struct slice sql,
                                               uint64_t hash) {
  struct sqlite_statement *statement = memory_alloc(sizeof *statement);
  *statement = (struct sqlite_statement){
      .stmt = stmt, .hash = hash, .sql = memory_copy(sql.data, sql.len), .len = sql.len};
  list_init(&statement->link);
  return statement;
}

bool sqlite_connection_take(struct sqlite_connection *connection, struct slice sql,
                            struct sqlite_statement **statement, size_t *used,
                            struct sqlite_failure *failure) {
  uint64_t hash = hash_add(HASH_SEED, sql.data, sql.len);
  *used = sql.len;
  *statement = take_kept(connection, sql, hash);
  if (*statement) return true;
  sqlite3_stmt *stmt;
  const char *tail;
  connection->refused = NULL;
  connection->is_preparing = true;
  int code = sqlite3_prepare_v3(connection->db, sql.data, (int)sql.len, SQLITE_PREPARE_PERSISTENT,
                                &stmt, &tail);
  connection->is_preparing = false;
  if (code != SQLITE_OK && connection->refused)
    return sqlite_failure_misuse(failure, "%s", connection->refused);
  if (code != SQLITE_OK) return sqlite_failure_take(failure, connection->db);
  *used = (size_t)(tail - sql.data);
  if (stmt) *statement = make_statement(stmt, (struct slice){sql.data, *used}, hash);
  if (*statement && *used < sql.len) (*statement)->hash = hash_add(HASH_SEED, sql.data, *used);
  return true;
}

void sqlite_connection_give(struct sqlite_connection *connection,
                            struct sqlite_statement *statement) {
  if (!statement) return;
  sqlite3_reset(statement->stmt);
  sqlite3_clear_bindings(statement->stmt);
  list_push_front(&connection->statements, &statement->link);
  connection->statement_count++;
  if (connection->statement_count <= connection->statements_max) return;
  connection->statement_count--;
  struct list *last = connection->statements.prev;
  list_remove(last);
  free_statement(container_of(last, struct sqlite_statement, link));
}

/* Steps to the end; rows are not looked at. */
static bool step_through(struct sqlite_connection *connection, sqlite3_stmt *stmt,
                         struct sqlite_failure *failure) {
  int code;
  do code = sqlite3_step(stmt);
  while (code == SQLITE_ROW);
  return code == SQLITE_DONE || sqlite_failure_take(failure, connection->db);
}

bool sqlite_connection_execute(struct sqlite_connection *connection, const char *sql,
                               struct sqlite_failure *failure) {
  struct sqlite_statement *statement;
  size_t used;
  connection->is_internal = true;
  bool is_done = sqlite_connection_take(connection, (struct slice){sql, strlen(sql)}, &statement,
                                        &used, failure);
  if (is_done) is_done = step_through(connection, statement->stmt, failure);
  sqlite_connection_give(connection, statement);
  connection->is_internal = false;
  return is_done;
}
