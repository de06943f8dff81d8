/* sqlite_result.c - decoding rows, and errors of kind "sqlite".
 *
 * Bytes are read as they were written (sqlite_value.h); they belong to the job. */
#include "lib/sqlite_result.h"

#include "core/class.h"
#include "core/error.h"
#include "lib/sqlite_cursor.h"
#include "lib/sqlite_job.h"

#include <lauxlib.h>

const char *sqlite_result_push_names(lua_State *L, const char *at) {
  uint32_t count;
  struct sqlite_value name;
  at = sqlite_value_read_count(at, &count);
  lua_createtable(L, (int)count, 0);
  for (uint32_t i = 1; i <= count; i++) {
    at = sqlite_value_read(at, &name);
    lua_pushlstring(L, name.text.data, name.text.len);
    lua_rawseti(L, -2, i);
  }
  return at;
}

static const char *push_value(lua_State *L, const char *at, bool nulls) {
  struct sqlite_value value;
  at = sqlite_value_read(at, &value);
  switch (value.type) {
  case SQLITE_INTEGER:
    lua_pushinteger(L, value.integer);
    break;
  case SQLITE_FLOAT:
    lua_pushnumber(L, value.number);
    break;
  case SQLITE_TEXT:
  case SQLITE_BLOB:
    lua_pushlstring(L, value.text.data, value.text.len);
    break;
  default:
    if (nulls)
      class_push_null(L);
    else
      lua_pushnil(L);
  }
  return at;
}

const char *sqlite_result_push_row(lua_State *L, const char *at, int names, bool nulls) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, names);
  lua_createtable(L, 0, (int)count);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, names, i);
    at = push_value(L, at, nulls);
    lua_rawset(L, -3);
  }
  return at;
}

void sqlite_result_push_rows(lua_State *L, const struct sqlite_job *job, bool nulls) {
  lua_createtable(L, (int)job->row_count, 0);
  class_set_array(L, -1);
  if (job->row_count == 0) return;
  const char *at = sqlite_result_push_names(L, job->rows.data);
  int names = lua_gettop(L);
  for (size_t i = 1; i <= job->row_count; i++) {
    at = sqlite_result_push_row(L, at, names, nulls);
    lua_rawseti(L, names - 1, (lua_Integer)i);
  }
  lua_pop(L, 1);
}

void sqlite_result_push_first(lua_State *L, const struct sqlite_job *job, bool nulls) {
  if (job->row_count == 0) {
    lua_pushnil(L);
    return;
  }
  const char *at = sqlite_result_push_names(L, job->rows.data);
  sqlite_result_push_row(L, at, lua_gettop(L), nulls);
  lua_remove(L, -2);
}

void sqlite_result_push_value(lua_State *L, const struct sqlite_job *job, bool nulls) {
  if (job->row_count == 0) {
    lua_pushnil(L);
    return;
  }
  const char *at = sqlite_result_push_names(L, job->rows.data);
  lua_pop(L, 1);
  push_value(L, at, nulls);
}

/* Pushes the SQL that failed, or nil. */
static void push_sql(lua_State *L, const struct sqlite_job *job) {
  const struct buffer *sql = job->cursor ? &job->cursor->sql : &job->sql;
  switch (job->kind) {
  case SQLITE_JOB_OPEN:
    lua_pushnil(L);
    break;
  case SQLITE_JOB_BEGIN:
    lua_pushliteral(L, "BEGIN");
    break;
  case SQLITE_JOB_COMMIT:
    lua_pushliteral(L, "COMMIT");
    break;
  case SQLITE_JOB_RUN:
  case SQLITE_JOB_NEXT:
    lua_pushlstring(L, sql->data, sql->len);
    break;
  }
}

void sqlite_result_push_failure(lua_State *L, const struct sqlite_job *job) {
  const struct sqlite_failure *failure = &job->failure;
  if (failure->is_misuse) {
    luaL_where(L, 1);
    lua_pushstring(L, failure->message);
    lua_concat(L, 2);
  } else {
    error_push(L, "sqlite", "%s", failure->message);
    lua_pushstring(L, sqlite_failure_name(failure->code));
    lua_setfield(L, -2, "code");
    push_sql(L, job);
    lua_setfield(L, -2, "sql");
  }
}
