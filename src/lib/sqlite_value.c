/* sqlite_value.c - writing and reading values, and binding them.
 *
 * The bytes never leave the process. Names of parameters are given without the sign before them:
 * `id` stands for :id, @id and $id. */
#include "lib/sqlite_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

static void add_fixed(struct buffer *out, int type, const void *data, size_t len) {
  char *at = buffer_reserve(out, 1 + len);
  *at = (char)type;
  memcpy(at + 1, data, len);
  out->len += 1 + len;
}

void sqlite_value_add_null(struct buffer *out) {
  buffer_add_byte(out, SQLITE_NULL);
}

void sqlite_value_add_integer(struct buffer *out, int64_t integer) {
  add_fixed(out, SQLITE_INTEGER, &integer, sizeof integer);
}

void sqlite_value_add_number(struct buffer *out, double number) {
  add_fixed(out, SQLITE_FLOAT, &number, sizeof number);
}

void sqlite_value_add_bytes(struct buffer *out, int type, const char *data, uint32_t len) {
  add_fixed(out, type, &len, sizeof len);
  buffer_add(out, data, len);
}

void sqlite_value_add_names(struct buffer *out, sqlite3_stmt *stmt) {
  uint32_t count = (uint32_t)sqlite3_column_count(stmt);
  buffer_add(out, &count, sizeof count);
  for (uint32_t i = 0; i < count; i++) {
    const char *name = sqlite3_column_name(stmt, (int)i);
    if (!name) name = "?"; /* no memory */
    sqlite_value_add_bytes(out, SQLITE_TEXT, name, (uint32_t)strlen(name));
  }
}

static void add_column(struct buffer *out, sqlite3_stmt *stmt, int i) {
  int type = sqlite3_column_type(stmt, i);
  switch (type) {
  case SQLITE_INTEGER:
    sqlite_value_add_integer(out, sqlite3_column_int64(stmt, i));
    break;
  case SQLITE_FLOAT:
    sqlite_value_add_number(out, sqlite3_column_double(stmt, i));
    break;
  case SQLITE_TEXT:
  case SQLITE_BLOB: {
    const void *data =
        type == SQLITE_TEXT ? sqlite3_column_text(stmt, i) : sqlite3_column_blob(stmt, i);
    sqlite_value_add_bytes(out, type, data, (uint32_t)sqlite3_column_bytes(stmt, i));
    break;
  }
  default:
    sqlite_value_add_null(out);
  }
}

void sqlite_value_add_row(struct buffer *out, sqlite3_stmt *stmt) {
  int count = sqlite3_column_count(stmt);
  for (int i = 0; i < count; i++) add_column(out, stmt, i);
}

/* ---- reading ---- */

const char *sqlite_value_read_count(const char *at, uint32_t *count) {
  memcpy(count, at, sizeof *count);
  return at + sizeof *count;
}

const char *sqlite_value_read(const char *at, struct sqlite_value *value) {
  uint32_t len;
  *value = (struct sqlite_value){.type = *at++};
  switch (value->type) {
  case SQLITE_INTEGER:
    memcpy(&value->integer, at, sizeof value->integer);
    return at + sizeof value->integer;
  case SQLITE_FLOAT:
    memcpy(&value->number, at, sizeof value->number);
    return at + sizeof value->number;
  case SQLITE_TEXT:
  case SQLITE_BLOB:
    at = sqlite_value_read_count(at, &len);
    value->text = (struct slice){at, len};
    return at + len;
  default:
    return at;
  }
}

/* ---- binding ---- */

static bool bind_value(sqlite3_stmt *stmt, int i, const struct sqlite_value *value,
                       struct sqlite_failure *failure) {
  const struct slice text = value->text;
  int code = SQLITE_OK;
  switch (value->type) {
  case SQLITE_INTEGER:
    code = sqlite3_bind_int64(stmt, i, value->integer);
    break;
  case SQLITE_FLOAT:
    code = sqlite3_bind_double(stmt, i, value->number);
    break;
  case SQLITE_TEXT:
    code = sqlite3_bind_text64(stmt, i, text.data, text.len, SQLITE_STATIC, SQLITE_UTF8);
    break;
  case SQLITE_BLOB: /* a NULL pointer would be NULL */
    code = text.len ? sqlite3_bind_blob64(stmt, i, text.data, text.len, SQLITE_STATIC)
                    : sqlite3_bind_zeroblob(stmt, i, 0);
    break;
  default:
    code = sqlite3_bind_null(stmt, i);
  }
  return code == SQLITE_OK || sqlite_failure_take(failure, sqlite3_db_handle(stmt));
}

static bool bind_in_order(sqlite3_stmt *stmt, const struct sqlite_parameters *parameters,
                          struct sqlite_failure *failure) {
  int count = sqlite3_bind_parameter_count(stmt);
  if (count != parameters->count)
    return sqlite_failure_misuse(
        failure, "the statement has %d parameter%s, but %d %s given%s", count,
        count == 1 ? "" : "s", parameters->count, parameters->count == 1 ? "was" : "were",
        parameters->count < count ? " (nil is NULL, also at the end)" : "");
  struct sqlite_value value;
  const char *at = parameters->bytes.data;
  for (int i = 1; i <= count; i++) {
    at = sqlite_value_read(at, &value);
    if (!bind_value(stmt, i, &value, failure)) return false;
  }
  return true;
}

/* The value that was given under that name; false when there is none. */
static bool find_named(const struct sqlite_parameters *parameters, const char *name,
                       struct sqlite_value *value) {
  const char *at = parameters->bytes.data;
  size_t len = strlen(name);
  for (int i = 0; i < parameters->count; i++) {
    struct sqlite_value key;
    at = sqlite_value_read(at, &key);
    at = sqlite_value_read(at, value);
    if (key.text.len == len && memcmp(key.text.data, name, len) == 0) return true;
  }
  return false;
}

static bool bind_by_name(sqlite3_stmt *stmt, const struct sqlite_parameters *parameters,
                         struct sqlite_failure *failure) {
  int count = sqlite3_bind_parameter_count(stmt);
  if (count == 0)
    return sqlite_failure_misuse(failure, "the statement has no parameters, but a table was given");
  for (int i = 1; i <= count; i++) {
    const char *name = sqlite3_bind_parameter_name(stmt, i);
    struct sqlite_value value;
    if (!name || *name == '?')
      return sqlite_failure_misuse(failure,
                                   "the parameter %s has no name: its value is an "
                                   "argument, not in a table",
                                   name ? name : "?");
    if (!find_named(parameters, name + 1, &value))
      return sqlite_failure_misuse(failure, "the parameter %s is missing (perilune.null is NULL)",
                                   name);
    if (!bind_value(stmt, i, &value, failure)) return false;
  }
  return true;
}

bool sqlite_value_bind(sqlite3_stmt *stmt, const struct sqlite_parameters *parameters,
                       struct sqlite_failure *failure) {
  return parameters->are_named ? bind_by_name(stmt, parameters, failure)
                               : bind_in_order(stmt, parameters, failure);
}
