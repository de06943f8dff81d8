/* sqlite_transaction.c - BEGIN, the function, COMMIT.
 *
 * The stack: 1 the handle, 2 the function, 3 the transaction, then results. The transaction is to
 * be closed when this function is left, by whatever way: that is what rolls back. */
#include "lib/sqlite_transaction.h"

#include "core/context.h"
#include "lib/sqlite_call.h"
#include "lib/sqlite_unit.h"
#include "lib/task.h"

#include <lauxlib.h>

enum { AT_FUNCTION = 2, AT_TRANSACTION, AT_BOX, AT_RESULTS = AT_BOX };

static struct sqlite_transaction *transaction_here(lua_State *L) {
  return lua_touserdata(L, AT_TRANSACTION);
}

static struct sqlite_job *push_job(lua_State *L, enum sqlite_job_kind kind,
                                   struct sqlite_unit *unit) {
  struct sqlite_database *database = transaction_here(L)->unit->database;
  const struct sqlite_target target = {.database = database, .unit = unit};
  return sqlite_call_push(L, kind, &target);
}

/* ---- commit; the box is behind the results ---- */

static int committed(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  scope_pop(&transaction_here(L)->shield);
  int box = lua_gettop(L);
  sqlite_call_check(L, box);
  sqlite_call_drop(L, box);
  lua_settop(L, box - 1);
  return box - 1 - AT_RESULTS;
}

static int ended(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct sqlite_transaction *transaction = transaction_here(L);
  struct fiber *fiber = fiber_begin_wait(L, "db:transaction");
  if (fiber->cancelled) fiber_raise_cancelled(L, scope_find_cancelled(fiber));
  struct sqlite_job *job = push_job(L, SQLITE_JOB_COMMIT, transaction->unit);
  scope_push(fiber, &transaction->shield, 0, true);
  return sqlite_call_wait(L, fiber, job, "COMMIT", 0, committed);
}

/* ---- begin ---- */

/* The fiber, and what it starts, find it in their context. */
static void set_context(lua_State *L) {
  struct sqlite_transaction *transaction = transaction_here(L);
  const struct fiber *fiber = fiber_running(L);
  transaction->fiber = fiber_running(L);
  transaction->life = fiber->life;
  context_push_own(L);
  sqlite_handle_push_key(L, transaction->unit->database);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  lua_setiuservalue(L, AT_TRANSACTION, 1); /* what is to be there afterwards */
  lua_pushvalue(L, AT_TRANSACTION);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static int begun(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  sqlite_call_check(L, AT_BOX);
  sqlite_call_drop(L, AT_BOX);
  set_context(L);
  lua_settop(L, AT_TRANSACTION);
  lua_pushnil(L); /* results begin behind the box */
  lua_pushvalue(L, AT_FUNCTION);
  lua_pushvalue(L, AT_TRANSACTION);
  lua_callk(L, 1, LUA_MULTRET, 0, ended);
  return ended(L, LUA_OK, 0);
}

int sqlite_transaction(lua_State *L) {
  const struct sqlite_target target = sqlite_handle_check_target(L, "transaction");
  task_check_callable(L, 2, "db:transaction takes a function");
  struct fiber *fiber = fiber_begin_wait(L, "db:transaction");
  lua_settop(L, AT_FUNCTION);
  struct sqlite_transaction *transaction = sqlite_handle_push_transaction(L, NULL, target.nulls);
  transaction->is_owner = true;
  transaction->unit = sqlite_unit_create(target.database);
  lua_toclose(L, AT_TRANSACTION);
  struct sqlite_job *job = push_job(L, SQLITE_JOB_BEGIN, target.unit);
  sqlite_unit_retain(transaction->unit);
  job->begun = transaction->unit;
  return sqlite_call_wait(L, fiber, job, "BEGIN", 0, begun);
}
