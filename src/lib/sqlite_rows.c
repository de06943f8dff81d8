/* sqlite_rows.c - the iterator: a batch of rows, and the cursor that reads the next one.
 *
 * The first batch is read by db:rows itself, so that what is wrong with the SQL is told there. A
 * wait that is cancelled closes the iterator: rows may be lost. */
#include "lib/sqlite_rows.h"

#include "base/limits.h"
#include "core/class.h"
#include "core/error.h"
#include "lib/sqlite_arguments.h"
#include "lib/sqlite_call.h"
#include "lib/sqlite_cursor.h"
#include "lib/sqlite_database.h"
#include "lib/sqlite_result.h"

#include <lauxlib.h>
#include <string.h>

#define CLASS "perilune.sqlite.rows"

enum { AT_SQL = 2, AT_ROWS = 1, AT_BOX = 2 };
enum { VALUE_NAMES = 1 };

struct rows {
  struct sqlite_cursor *cursor; /* a reference; NULL: all has been read, or it is closed */
  struct buffer batch;
  const char *at; /* the next row of the batch */
  size_t left;    /* rows in it */
  bool nulls;
  bool is_reading; /* a task waits for the next batch */
};

static void close_rows(struct rows *rows) {
  if (rows->cursor) sqlite_cursor_drop(rows->cursor);
  rows->cursor = NULL;
  rows->left = 0;
  buffer_finish(&rows->batch);
}

/* ---- batches ---- */

/* Takes the batch of the job of the box; the iterator is at 1. */
static void take_batch(lua_State *L, struct rows *rows) {
  struct sqlite_job *job = *(struct sqlite_job **)lua_touserdata(L, AT_BOX);
  if (fiber_was_cancelled(L) || job->failure.code != SQLITE_OK) close_rows(rows);
  sqlite_call_check(L, AT_BOX);
  buffer_finish(&rows->batch);
  rows->batch = job->rows;
  rows->left = job->row_count;
  job->rows = (struct buffer){0};
  if (job->is_last && rows->cursor) {
    sqlite_cursor_drop(rows->cursor);
    rows->cursor = NULL;
  }
  sqlite_call_drop(L, AT_BOX);
  lua_settop(L, AT_ROWS);
  if (rows->left == 0) return;
  rows->at = sqlite_result_push_names(L, rows->batch.data);
  lua_setiuservalue(L, AT_ROWS, VALUE_NAMES);
}

static lua_nret push_next(lua_State *L, struct rows *rows) {
  if (rows->left == 0) {
    close_rows(rows);
    lua_pushnil(L);
    return 1;
  }
  lua_getiuservalue(L, AT_ROWS, VALUE_NAMES);
  const char *next = sqlite_result_push_row(L, rows->at, lua_gettop(L), rows->nulls);
  rows->at = next;
  rows->left--;
  return 1;
}

static int read_more(lua_State *L, int status, lua_KContext context) {
  struct rows *rows = lua_touserdata(L, AT_ROWS);
  (void)status;
  (void)context;
  rows->is_reading = false;
  take_batch(L, rows);
  return push_next(L, rows);
}

static struct rows *check_rows(lua_State *L, const char *method) {
  const char *class = lua_isuserdata(L, 1) ? class_name(L, 1) : NULL;
  if (!class || strcmp(class, CLASS) != 0)
    luaL_error(L, "rows.%s was called without its rows: use a colon (rows:%s)", method, method);
  return lua_touserdata(L, 1);
}

static int next_row(lua_State *L) {
  struct rows *rows = check_rows(L, "__call");
  if (rows->is_reading) return luaL_error(L, "another task reads from these rows");
  lua_settop(L, AT_ROWS);
  if (rows->left > 0 || !rows->cursor) return push_next(L, rows);
  struct fiber *fiber = fiber_begin_wait(L, "db:rows");
  struct sqlite_cursor *cursor = rows->cursor;
  const struct sqlite_target target = {.database = cursor->database, .unit = cursor->unit};
  struct sqlite_job *job = sqlite_call_push(L, SQLITE_JOB_NEXT, &target);
  atomic_fetch_add_explicit(&cursor->references, 1, memory_order_relaxed);
  job->cursor = cursor;
  rows->is_reading = true;
  return sqlite_call_wait(L, fiber, job, "db:rows", 0, read_more);
}

/* ---- the method ---- */

static int begun(lua_State *L, int status, lua_KContext context) {
  struct rows *rows = lua_touserdata(L, AT_ROWS);
  (void)status;
  (void)context;
  take_batch(L, rows);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, AT_ROWS);
  return 4; /* a generic for closes the last one */
}

/* Pushes an iterator without rows. */
static struct rows *push_rows(lua_State *L) {
  struct rows *rows = lua_newuserdatauv(L, sizeof *rows, 1);
  *rows = (struct rows){0};
  class_push(L, CLASS);
  lua_setmetatable(L, -2);
  return rows;
}

int sqlite_rows(lua_State *L) {
  struct sqlite_target target = sqlite_handle_check_target(L, "rows");
  struct fiber *fiber = fiber_begin_wait(L, "db:rows");
  int last = lua_gettop(L) < AT_SQL ? AT_SQL : lua_gettop(L);
  lua_settop(L, last);
  struct rows *rows = push_rows(L);
  struct sqlite_job *job = sqlite_call_push(L, SQLITE_JOB_NEXT, &target);
  sqlite_call_read_sql(L, job);
  sqlite_arguments_read(L, AT_SQL + 1, last, &job->parameters, &target.nulls);
  rows->nulls = target.nulls;
  rows->cursor = sqlite_cursor_create(job);
  if (!rows->cursor)
    error_raise(L, "full", "%d iterators are open on the database %s", SQLITE_CURSORS_MAX,
                target.database->path);
  lua_replace(L, AT_BOX);
  lua_replace(L, AT_ROWS);
  lua_settop(L, AT_BOX);
  return sqlite_call_wait(L, fiber, job, "db:rows", 0, begun);
}

/* ---- the class ---- */

static int close_method(lua_State *L) {
  close_rows(check_rows(L, "close"));
  return 0;
}

static int release_rows(lua_State *L) {
  close_rows(lua_touserdata(L, 1));
  return 0;
}

static int describe(lua_State *L) {
  const struct rows *rows = check_rows(L, "__tostring");
  lua_pushstring(L, rows->cursor || rows->left > 0 ? "rows: open" : "rows: closed");
  return 1;
}

void sqlite_rows_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"__call", next_row},
                                       {"__gc", release_rows},
                                       {"__close", close_method},
                                       {"__tostring", describe},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_newtable(L);
  lua_pushcfunction(L, close_method);
  lua_setfield(L, -2, "close");
  lua_setfield(L, -2, "__index");
  class_register(L, CLASS);
  lua_pop(L, 1);
}
