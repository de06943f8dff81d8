/* sqlite_value.h - parameters and rows as bytes, between Lua and the threads of a database.
 *
 * A value is its type, one of SQLite's five in a byte, and what the type has: eight bytes of an
 * integer or a float; a length, uint32_t, and the bytes of a text or blob. Rows begin with the
 * number of columns, uint32_t, and their names, written as texts are; then row follows row. */
#ifndef LIB_SQLITE_VALUE_H
#define LIB_SQLITE_VALUE_H

#include "base/buffer.h"
#include "lib/sqlite_failure.h"

#include <sqlite3.h>
#include <stdbool.h>

/* What a statement is given. */
struct sqlite_parameters {
  struct buffer bytes; /* values; by name: each behind its name, a text */
  int count;
  bool are_named;
};

/* A value as it is read. */
struct sqlite_value {
  int type; /* SQLITE_INTEGER, ... */
  int64_t integer;
  double number;
  struct slice text; /* of a text or blob; borrowed from the bytes */
};

/* [any thread] Appends a value of that type. */
void sqlite_value_add_null(struct buffer *out);
void sqlite_value_add_integer(struct buffer *out, int64_t integer);
void sqlite_value_add_number(struct buffer *out, double number);
void sqlite_value_add_bytes(struct buffer *out, int type, const char *data, uint32_t len);

/* [any thread] Appends the names of the columns, and the current row, of a statement. */
void sqlite_value_add_names(struct buffer *out, sqlite3_stmt *stmt);
void sqlite_value_add_row(struct buffer *out, sqlite3_stmt *stmt);

/* [any thread] Reads a value at `at`; gives where the next one is. */
const char *sqlite_value_read(const char *at, struct sqlite_value *value);

/* [any thread] Reads the number of columns. */
const char *sqlite_value_read_count(const char *at, uint32_t *count);

/* [any thread] Gives a statement its parameters, which must stay until it is given others. False,
 * and why, when they are not those that it has. */
bool sqlite_value_bind(sqlite3_stmt *stmt, const struct sqlite_parameters *parameters,
                       struct sqlite_failure *failure);

#endif
