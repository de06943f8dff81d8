/* chain.c - the functions of perilune.native.chain.
 *
 * They run on the HTTP worker, inside the handler's fiber or a child of it; which request they are
 * for is told by `req`. */
#include "lib/chain.h"

#include "core/class.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/place.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "http/response.h"
#include "http/status.h"
#include "lib/failure.h"
#include "lib/reply.h"
#include "lib/req.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define SCRATCH_CLASS "perilune.chain.scratch"

/* ---- the scratch: upvalue 1 of the functions that need it ---- */

static struct reply_scratch *scratch_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

static int release_scratch(lua_State *L) {
  reply_finish(lua_touserdata(L, 1));
  return 0;
}

static void push_scratch(lua_State *L) {
  struct reply_scratch *scratch = lua_newuserdatauv(L, sizeof *scratch, 0);
  *scratch = (struct reply_scratch){0};
  if (luaL_newmetatable(L, SCRATCH_CLASS)) {
    lua_pushcfunction(L, release_scratch);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
}

/* ---- results ---- */

enum { RENDER_WHO = 1, RENDER_STATUS, RENDER_CALL, RENDER_FIRST };

/* Whether the one result is what proceed() gave. */
static bool is_proceeded(lua_State *L) {
  if (lua_gettop(L) != RENDER_FIRST || !lua_istable(L, RENDER_CALL)) return false;
  lua_getfield(L, RENDER_CALL, "response");
  bool is_same = lua_istable(L, -1) && lua_rawequal(L, -1, RENDER_FIRST);
  lua_pop(L, 1);
  return is_same;
}

static int rendered(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  int count = lua_gettop(L) - RENDER_CALL;
  if (count == 0) return 0;
  if (is_proceeded(L)) return 1;
  reply_push(L, RENDER_FIRST, count, lua_tostring(L, RENDER_WHO),
             (int)lua_tointeger(L, RENDER_STATUS), scratch_of(L));
  return 1;
}

/* render(who, status, call, fn, ...) -> the results of fn as a response object, nothing for none.
 * The object call.response is given back itself, any other is checked and copied. */
static int render(lua_State *L) {
  luaL_checkstring(L, RENDER_WHO);
  luaL_checkinteger(L, RENDER_STATUS);
  lua_callk(L, lua_gettop(L) - RENDER_FIRST, LUA_MULTRET, 0, rendered);
  return rendered(L, LUA_OK, 0);
}

enum { PREPARE_WHO = 1, PREPARE_FIRST };

static int prepared(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  int count = lua_gettop(L) - PREPARE_WHO;
  return reply_prepare(L, PREPARE_FIRST, count, lua_tostring(L, PREPARE_WHO), scratch_of(L));
}

/* prepare(who, fn, ...) -> what says the same as the results of fn and can be sent */
static int prepare(lua_State *L) {
  luaL_checkstring(L, PREPARE_WHO);
  lua_callk(L, lua_gettop(L) - PREPARE_FIRST, LUA_MULTRET, 0, prepared);
  return prepared(L, LUA_OK, 0);
}

/* ---- errors ---- */

/* The request of the `req` at 1 counts as failed: its tasks are told. */
static void note_failure(lua_State *L) {
  struct req_origin origin = req_find_origin(L, 1, "tasks");
  if (origin.is_here && origin.source->number == origin.number) origin.source->failed = true;
}

/* answer_abort(req, error) -> response */
static int answer_abort(lua_State *L) {
  int status = reply_push_abort(L, 2, scratch_of(L));
  if (status == 0 || status >= STATUS_BAD_REQUEST) note_failure(L);
  return status == 0 ? 0 : 1;
}

/* default_response(status) -> {"detail": reason} */
static int default_response(lua_State *L) {
  reply_push_status(L, (int)luaL_checkinteger(L, 1));
  return 1;
}

/* kind(error) -> the kind of an error of Perilune */
static int kind(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushstring(L, error_kind(L, 1));
  return 1;
}

/* is_marked(fn) -> whether it is a blocking function */
static int is_marked(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, place_of(L, 1) != NULL);
  return 1;
}

/* copy_error(error) -> it as it would arrive in another state */
static int copy_error(lua_State *L) {
  luaL_checkany(L, 1);
  struct buffer *bytes = &scratch_of(L)->body;
  buffer_clear(bytes);
  transfer_encode_error(L, 1, NULL, bytes);
  transfer_decode_error(L, bytes->data, bytes->len);
  lua_pop(L, 1); /* no traceback */
  return 1;
}

/* Stack: req, message, error, cause or nothing. The request's own words for itself. */
static struct failure describe(lua_State *L) {
  struct failure failure = {0};
  lua_settop(L, 4);
  lua_getfield(L, 1, "method");
  failure.method = lua_tostring(L, -1);
  lua_getfield(L, 1, "target");
  failure.target.data = lua_tolstring(L, -1, &failure.target.len);
  lua_getfield(L, 1, "id");
  failure.request = lua_tostring(L, -1);
  struct req_origin origin = req_find_origin(L, 1, "tasks");
  if (origin.is_here && origin.source->number == origin.number)
    failure.handler = origin.source->line;
  failure.kind = error_kind(L, 3);
  failure.error = error_push_text(L, 3);
  if (!lua_isnil(L, 4)) failure.cause = error_push_text(L, 4);
  return failure;
}

/* log_failed(req, message, error, cause | nil) */
static int log_failed(lua_State *L) {
  const char *message = luaL_checkstring(L, 2);
  note_failure(L);
  struct failure failure = describe(L);
  failure.traceback = fiber_find_trail(L, 3);
  failure_log(worker_of(L)->process->log, LOG_ERROR, message, &failure);
  return 0;
}

/* log_refused(req, message, error): a full queue is the load's fault, not the handler's: one line,
 * since there may be many */
static int log_refused(lua_State *L) {
  const char *message = luaL_checkstring(L, 2);
  note_failure(L);
  struct failure failure = describe(L);
  failure_log(worker_of(L)->process->log, LOG_WARN, message, &failure);
  return 0;
}

/* log_left(req, message, error): the client has left, which is nobody's fault here */
static int log_left(lua_State *L) {
  const char *message = luaL_checkstring(L, 2);
  note_failure(L);
  struct failure failure = describe(L);
  failure_log(worker_of(L)->process->log, LOG_INFO, message, &failure);
  return 0;
}

int chain_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"render", render},
                                       {"answer_abort", answer_abort},
                                       {"copy_error", copy_error},
                                       {"default_response", default_response},
                                       {"kind", kind},
                                       {"is_marked", is_marked},
                                       {"log_failed", log_failed},
                                       {"log_left", log_left},
                                       {"log_refused", log_refused},
                                       {"prepare", prepare},
                                       {"save_trail", fiber_save_trail},
                                       {NULL, NULL}};
  luaL_newlibtable(L, functions);
  push_scratch(L);
  luaL_setfuncs(L, functions, 1);
  return 1;
}
