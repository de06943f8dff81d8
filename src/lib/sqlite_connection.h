/* sqlite_connection.h - one connection to a database file, with its prepared statements.
 *
 * It belongs to the thread that uses it, and may go from one to another in between. While it has a
 * job, that one's end (cancelled, or its transaction given up) interrupts what runs, and the wait
 * for another process's lock. BEGIN, SAVEPOINT and their like are for its owner alone: the SQL of
 * an app that has them is refused. */
#ifndef LIB_SQLITE_CONNECTION_H
#define LIB_SQLITE_CONNECTION_H

#include "base/list.h"
#include "lib/sqlite_failure.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum sqlite_synchronous {
  SQLITE_SYNCHRONOUS_OFF,
  SQLITE_SYNCHRONOUS_NORMAL,
  SQLITE_SYNCHRONOUS_FULL
};

struct sqlite_options {
  bool readonly;
  bool create; /* a file that does not exist */
  enum sqlite_synchronous synchronous;
  int readers;    /* threads that read at once */
  int statements; /* that one connection keeps prepared */
  uint64_t busy_timeout_ns;
};

struct sqlite_job;

struct sqlite_statement {
  struct list link; /* sqlite_connection.statements */
  sqlite3_stmt *stmt;
  uint64_t hash; /* of the text */
  char *sql;
  size_t len;
};

struct sqlite_connection {
  struct list link;       /* sqlite_database.spare */
  sqlite3 *db;            /* NULL: closed */
  struct list statements; /* sqlite_statement.link; last used first */
  int statement_count, statements_max;
  const struct sqlite_job *job; /* what it runs; NULL: nothing that could be given up */
  bool is_internal;             /* what is prepared is the owner's own */
  bool is_preparing;
  const char *refused; /* why the last statement was not prepared; NULL: SQLite knows */
  uint64_t busy_timeout_ns, busy_since_ns;
};

/* [any thread] Opens a zeroed connection; ":memory:" is a database of its own. False, and why, when
 * it cannot be. */
bool sqlite_connection_open(struct sqlite_connection *connection, const char *path,
                            const struct sqlite_options *options, bool for_reading,
                            struct sqlite_failure *failure);

/* [any thread] Closes it; all statements are back. Accepts a zeroed one, and twice. */
void sqlite_connection_close(struct sqlite_connection *connection);

/* [any thread] Takes a statement out of those that are kept, or prepares it: the first of the text,
 * `used` bytes of it. False, and why, when there is an error; the statement is NULL when the text
 * is blank. */
bool sqlite_connection_take(struct sqlite_connection *connection, struct slice sql,
                            struct sqlite_statement **statement, size_t *used,
                            struct sqlite_failure *failure);

/* [any thread] Puts it back, and lets go of its parameters. Accepts NULL. */
void sqlite_connection_give(struct sqlite_connection *connection,
                            struct sqlite_statement *statement);

/* [any thread] Runs a statement of the owner's own ("COMMIT"). False, and why. */
bool sqlite_connection_execute(struct sqlite_connection *connection, const char *sql,
                               struct sqlite_failure *failure);

/* [any thread] Whether no transaction is open on it. */
bool sqlite_connection_is_idle(const struct sqlite_connection *connection);

#endif
