/* sqlite_failure.c - result codes by name, and messages that outlive their connection.
 *
 * A code that this list does not know is named by its primary code, which its low byte is. */
#include "lib/sqlite_failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES = 1024 };

#define CODES(X)                                                                                   \
  X(SQLITE_ERROR)                                                                                  \
  X(SQLITE_INTERNAL)                                                                               \
  X(SQLITE_PERM)                                                                                   \
  X(SQLITE_ABORT)                                                                                  \
  X(SQLITE_BUSY)                                                                                   \
  X(SQLITE_LOCKED)                                                                                 \
  X(SQLITE_NOMEM)                                                                                  \
  X(SQLITE_READONLY)                                                                               \
  X(SQLITE_INTERRUPT)                                                                              \
  X(SQLITE_IOERR)                                                                                  \
  X(SQLITE_CORRUPT)                                                                                \
  X(SQLITE_NOTFOUND)                                                                               \
  X(SQLITE_FULL)                                                                                   \
  X(SQLITE_CANTOPEN)                                                                               \
  X(SQLITE_PROTOCOL)                                                                               \
  X(SQLITE_SCHEMA)                                                                                 \
  X(SQLITE_TOOBIG)                                                                                 \
  X(SQLITE_CONSTRAINT)                                                                             \
  X(SQLITE_MISMATCH)                                                                               \
  X(SQLITE_MISUSE)                                                                                 \
  X(SQLITE_NOLFS)                                                                                  \
  X(SQLITE_AUTH)                                                                                   \
  X(SQLITE_RANGE)                                                                                  \
  X(SQLITE_NOTADB)                                                                                 \
  X(SQLITE_ERROR_MISSING_COLLSEQ)                                                                  \
  X(SQLITE_ERROR_RETRY)                                                                            \
  X(SQLITE_ERROR_SNAPSHOT)                                                                         \
  X(SQLITE_IOERR_READ)                                                                             \
  X(SQLITE_IOERR_SHORT_READ)                                                                       \
  X(SQLITE_IOERR_WRITE)                                                                            \
  X(SQLITE_IOERR_FSYNC)                                                                            \
  X(SQLITE_IOERR_DIR_FSYNC)                                                                        \
  X(SQLITE_IOERR_TRUNCATE)                                                                         \
  X(SQLITE_IOERR_FSTAT)                                                                            \
  X(SQLITE_IOERR_UNLOCK)                                                                           \
  X(SQLITE_IOERR_RDLOCK)                                                                           \
  X(SQLITE_IOERR_DELETE)                                                                           \
  X(SQLITE_IOERR_NOMEM)                                                                            \
  X(SQLITE_IOERR_ACCESS)                                                                           \
  X(SQLITE_IOERR_LOCK)                                                                             \
  X(SQLITE_IOERR_CLOSE)                                                                            \
  X(SQLITE_IOERR_SHMOPEN)                                                                          \
  X(SQLITE_IOERR_SHMSIZE)                                                                          \
  X(SQLITE_IOERR_SHMLOCK)                                                                          \
  X(SQLITE_IOERR_SHMMAP)                                                                           \
  X(SQLITE_IOERR_SEEK)                                                                             \
  X(SQLITE_IOERR_DELETE_NOENT)                                                                     \
  X(SQLITE_IOERR_MMAP)                                                                             \
  X(SQLITE_IOERR_GETTEMPPATH)                                                                      \
  X(SQLITE_LOCKED_SHAREDCACHE)                                                                     \
  X(SQLITE_LOCKED_VTAB)                                                                            \
  X(SQLITE_BUSY_RECOVERY)                                                                          \
  X(SQLITE_BUSY_SNAPSHOT)                                                                          \
  X(SQLITE_CANTOPEN_NOTEMPDIR)                                                                     \
  X(SQLITE_CANTOPEN_ISDIR)                                                                         \
  X(SQLITE_CANTOPEN_FULLPATH)                                                                      \
  X(SQLITE_CORRUPT_VTAB)                                                                           \
  X(SQLITE_CORRUPT_SEQUENCE)                                                                       \
  X(SQLITE_READONLY_RECOVERY)                                                                      \
  X(SQLITE_READONLY_CANTLOCK)                                                                      \
  X(SQLITE_READONLY_ROLLBACK)                                                                      \
  X(SQLITE_READONLY_DBMOVED)                                                                       \
  X(SQLITE_READONLY_CANTINIT)                                                                      \
  X(SQLITE_READONLY_DIRECTORY)                                                                     \
  X(SQLITE_ABORT_ROLLBACK)                                                                         \
  X(SQLITE_CONSTRAINT_CHECK)                                                                       \
  X(SQLITE_CONSTRAINT_COMMITHOOK)                                                                  \
  X(SQLITE_CONSTRAINT_FOREIGNKEY)                                                                  \
  X(SQLITE_CONSTRAINT_FUNCTION)                                                                    \
  X(SQLITE_CONSTRAINT_NOTNULL)                                                                     \
  X(SQLITE_CONSTRAINT_PRIMARYKEY)                                                                  \
  X(SQLITE_CONSTRAINT_TRIGGER)                                                                     \
  X(SQLITE_CONSTRAINT_UNIQUE)                                                                      \
  X(SQLITE_CONSTRAINT_VTAB)                                                                        \
  X(SQLITE_CONSTRAINT_ROWID)                                                                       \
  X(SQLITE_AUTH_USER)

static const char *find_name(int code) {
  switch (code) {
#define NAME(code)                                                                                 \
  case code:                                                                                       \
    return #code;
    CODES(NAME)
#undef NAME
  default:
    return NULL;
  }
}

const char *sqlite_failure_name(int code) {
  const char *name = find_name(code);
  if (!name) name = find_name(code & SQLITE_PRIMARY_MASK);
  return name ? name : "SQLITE_ERROR";
}

static void set(struct sqlite_failure *failure, int code, bool is_misuse, const char *message) {
  char *copy = memory_copy(message, strlen(message)); /* it may be a part of the old one */
  sqlite_failure_clear(failure);
  *failure = (struct sqlite_failure){code, is_misuse, copy};
}

bool sqlite_failure_set(struct sqlite_failure *failure, int code, const char *format, ...) {
  char message[MESSAGE_BYTES];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  set(failure, code, false, message);
  return false;
}

bool sqlite_failure_misuse(struct sqlite_failure *failure, const char *format, ...) {
  char message[MESSAGE_BYTES];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  set(failure, SQLITE_MISUSE, true, message);
  return false;
}

bool sqlite_failure_take(struct sqlite_failure *failure, sqlite3 *db) {
  int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
  set(failure, code ? code : SQLITE_ERROR, false, db ? sqlite3_errmsg(db) : "out of memory");
  return false;
}

void sqlite_failure_copy(struct sqlite_failure *failure, const struct sqlite_failure *from) {
  set(failure, from->code, from->is_misuse, from->message);
}

void sqlite_failure_clear(struct sqlite_failure *failure) {
  free(failure->message);
  *failure = (struct sqlite_failure){0};
}
