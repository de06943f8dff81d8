/* sqlite_failure.h - why something on a database went wrong, on its way from a thread to Lua.
 *
 * A zeroed struct is no failure. What the caller did wrong (a parameter too few) is told apart from
 * what the database refused: it becomes an error at the caller's line. */
#ifndef LIB_SQLITE_FAILURE_H
#define LIB_SQLITE_FAILURE_H

#include "base/base.h"

#include <sqlite3.h>
#include <stdbool.h>

/* The part of an extended result code that is the primary one. */
enum { SQLITE_PRIMARY_MASK = 0xFF };

struct sqlite_failure {
  int code;       /* an extended result code; SQLITE_OK: it is none */
  bool is_misuse; /* of the caller */
  char *message;  /* owned */
};

/* [any thread] Sets it, in place of what it was. Gives false, for `return sqlite_failure_set(...)`.
 */
bool sqlite_failure_set(struct sqlite_failure *failure, int code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* [any thread] The same for a mistake of the caller. */
bool sqlite_failure_misuse(struct sqlite_failure *failure, const char *format, ...)
    PRINTF_LIKE(2, 3);

/* [any thread] Sets it to what the connection says of its last call. Gives false. */
bool sqlite_failure_take(struct sqlite_failure *failure, sqlite3 *db);

/* [any thread] Sets it to a copy of another. */
void sqlite_failure_copy(struct sqlite_failure *failure, const struct sqlite_failure *from);

/* [any thread] Makes it none; accepts a zeroed one. */
void sqlite_failure_clear(struct sqlite_failure *failure);

/* [any thread] "SQLITE_CONSTRAINT_UNIQUE": static text. */
const char *sqlite_failure_name(int code);

#endif
