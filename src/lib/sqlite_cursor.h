/* sqlite_cursor.h - a statement whose rows are read bit by bit.
 *
 * It has a connection of its own from its first rows to its end, so that it never keeps others from
 * reading; inside a transaction, and in memory, that is the writer's. Rows are read by jobs, one at
 * a time. */
#ifndef LIB_SQLITE_CURSOR_H
#define LIB_SQLITE_CURSOR_H

#include "base/buffer.h"
#include "base/list.h"
#include "lib/sqlite_value.h"

#include <stdatomic.h>
#include <stdbool.h>

struct sqlite_connection;
struct sqlite_database;
struct sqlite_job;
struct sqlite_statement;
struct sqlite_unit;

struct sqlite_cursor {
  struct list link; /* sqlite_database.cursors; of one that is dropped: .dropped */
  _Atomic(int) references;
  struct sqlite_database *database; /* a reference, as the next */
  struct sqlite_unit *unit;         /* that it reads in; NULL: none */
  struct buffer sql;
  struct sqlite_parameters parameters;
  bool is_running, is_dropped; /* under the database's lock */

  /* Of the thread that runs it. */
  struct sqlite_connection *connection; /* NULL: it has none yet, or any more */
  struct sqlite_statement *statement;
  bool is_on_writer;
  bool is_cut; /* its transaction has ended */
};

/* [any thread] A new cursor that takes the SQL and the parameters of the job, and becomes the one
 * that it reads; held by the caller too. NULL when the database has too many. */
struct sqlite_cursor *sqlite_cursor_create(struct sqlite_job *job);

/* [any thread] One less who holds it; accepts NULL. */
void sqlite_cursor_release(struct sqlite_cursor *cursor);

/* [any thread] No more of it is wanted: gives back what it has, on the thread that may. */
void sqlite_cursor_drop(struct sqlite_cursor *cursor);

/* [any thread] Reads the job's next rows on a connection: the cursor's, once it has one. When there
 * is nothing more to read, the statement is back. */
void sqlite_cursor_read(struct sqlite_job *job, struct sqlite_connection *connection);

/* [any thread] Gives its statement back, on the thread of its connection. */
void sqlite_cursor_end(struct sqlite_cursor *cursor);

#endif
