/* sqlite_call.c - from a method to a job, and from its rows to results.
 *
 * The stack of a waiting method: 1 the handle, 2 the box. */
#include "lib/sqlite_call.h"

#include "base/limits.h"
#include "core/error.h"
#include "core/worker.h"
#include "lib/sqlite_arguments.h"
#include "lib/sqlite_database.h"
#include "lib/sqlite_registry.h"
#include "lib/sqlite_result.h"

#include <lauxlib.h>
#include <string.h>

#define BOX_CLASS "perilune.sqlite.job"

enum { AT_SQL = 2, AT_BOX = 2 };

/* ---- boxes ---- */

static int release_box(lua_State *L) {
  struct sqlite_job **box = lua_touserdata(L, 1);
  struct sqlite_job *job = *box;
  *box = NULL;
  sqlite_job_drop(job);
  return 0;
}

void sqlite_call_open(lua_State *L) {
  luaL_newmetatable(L, BOX_CLASS);
  lua_pushcfunction(L, release_box);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

struct sqlite_job *sqlite_call_push(lua_State *L, enum sqlite_job_kind kind,
                                    const struct sqlite_target *target) {
  struct sqlite_job **box = lua_newuserdatauv(L, sizeof(struct sqlite_job *), 0);
  *box = NULL;
  luaL_setmetatable(L, BOX_CLASS);
  struct sqlite_job *job = *box = sqlite_job_create(worker_of(L)->process->databases, kind);
  if (target) sqlite_job_aim(job, target->database, target->unit);
  return job;
}

void sqlite_call_drop(lua_State *L, int box) {
  struct sqlite_job **job = lua_touserdata(L, box);
  sqlite_job_drop(*job);
  *job = NULL;
}

/* ---- the wait ---- */

void sqlite_call_read_sql(lua_State *L, struct sqlite_job *job) {
  size_t len;
  luaL_checktype(L, AT_SQL, LUA_TSTRING);
  const char *sql = lua_tolstring(L, AT_SQL, &len);
  luaL_argcheck(L, strlen(sql) == len, AT_SQL, "SQL has no NUL: a value is a parameter");
  luaL_argcheck(L, len <= SQLITE_SQL_BYTES_MAX, AT_SQL,
                lua_pushfstring(L, "SQL has at most %d MiB", SQLITE_SQL_BYTES_MAX / (1024 * 1024)));
  sqlite_job_set_sql(job, (struct slice){sql, len});
}

lua_nret sqlite_call_wait(lua_State *L, struct fiber *fiber, struct sqlite_job *job,
                          const char *waits_for, lua_KContext context, lua_KFunction k) {
  sqlite_job_set_ticket(job, fiber);
  /* In a cancelled scope the wait ends at once: nothing is begun. */
  bool is_due = !fiber->cancelled;
  if (is_due && job->kind == SQLITE_JOB_OPEN)
    sqlite_registry_open(job->registry, job);
  else if (is_due && !sqlite_database_submit(job->database, job, &is_due))
    error_raise(L, "full", "%d calls wait for the database %s", SQLITE_JOBS_MAX,
                job->database->path);
  if (is_due) sqlite_job_hold(job, fiber->worker);
  return fiber_park(L, fiber, waits_for, context, k);
}

struct sqlite_job *sqlite_call_check(lua_State *L, int box) {
  struct sqlite_job *job = *(struct sqlite_job **)lua_touserdata(L, box);
  if (fiber_was_cancelled(L)) {
    sqlite_call_drop(L, box);
    fiber_check_cancelled(L);
  }
  if (job->failure.code == SQLITE_OK) return job;
  sqlite_result_push_failure(L, job);
  sqlite_call_drop(L, box);
  lua_error(L);
  return NULL;
}

/* ---- methods; the continuations get whether NULL is perilune.null ---- */

static lua_nret start(lua_State *L, const char *method, enum sqlite_job_wanted wanted,
                      const char *what, lua_KFunction k) {
  struct sqlite_target target = sqlite_handle_check_target(L, method);
  struct fiber *fiber = fiber_begin_wait(L, what);
  int last = lua_gettop(L) < AT_SQL ? AT_SQL : lua_gettop(L);
  lua_settop(L, last);
  struct sqlite_job *job = sqlite_call_push(L, SQLITE_JOB_RUN, &target);
  job->wanted = wanted;
  sqlite_call_read_sql(L, job);
  sqlite_arguments_read(L, AT_SQL + 1, last, &job->parameters, &target.nulls);
  lua_replace(L, AT_BOX);
  lua_settop(L, AT_BOX);
  return sqlite_call_wait(L, fiber, job, what, target.nulls, k);
}

static int queried(lua_State *L, int status, lua_KContext nulls) {
  (void)status;
  sqlite_result_push_rows(L, sqlite_call_check(L, AT_BOX), nulls != 0);
  sqlite_call_drop(L, AT_BOX);
  return 1;
}

int sqlite_call_query(lua_State *L) {
  return start(L, "query", SQLITE_WANTED_ALL, "db:query", queried);
}

static int got_row(lua_State *L, int status, lua_KContext nulls) {
  (void)status;
  sqlite_result_push_first(L, sqlite_call_check(L, AT_BOX), nulls != 0);
  sqlite_call_drop(L, AT_BOX);
  return 1;
}

int sqlite_call_row(lua_State *L) {
  return start(L, "row", SQLITE_WANTED_FIRST, "db:row", got_row);
}

static int got_value(lua_State *L, int status, lua_KContext nulls) {
  (void)status;
  sqlite_result_push_value(L, sqlite_call_check(L, AT_BOX), nulls != 0);
  sqlite_call_drop(L, AT_BOX);
  return 1;
}

int sqlite_call_value(lua_State *L) {
  return start(L, "value", SQLITE_WANTED_FIRST, "db:value", got_value);
}

static int executed(lua_State *L, int status, lua_KContext nulls) {
  (void)status;
  (void)nulls;
  const struct sqlite_job *job = sqlite_call_check(L, AT_BOX);
  lua_pushinteger(L, job->changes);
  if (job->inserted_id)
    lua_pushinteger(L, job->inserted_id);
  else
    lua_pushnil(L);
  sqlite_call_drop(L, AT_BOX);
  return 2;
}

int sqlite_call_exec(lua_State *L) {
  return start(L, "exec", SQLITE_WANTED_NONE, "db:exec", executed);
}
