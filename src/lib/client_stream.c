/* client_stream.c - the fetch of a streamed response, and taking what has come.
 *
 * A piece is all that has come since the last one. One task reads at a time. */
#include "lib/client_stream.h"

#include "core/opened.h"
#include "lib/client_failure.h"
#include "lib/client_response.h"
#include "lib/fetch_flow.h"

#include <lauxlib.h>
#include <string.h>

#define FETCH_CLASS "perilune.http.fetch"
#define FIELD       "_fetch"

static const char waits_for[] = "response:chunks";

static int release_fetch(lua_State *L) {
  struct fetch *fetch = lua_touserdata(L, 1);
  opened_collect(&fetch->opened);
  fetch_finish(fetch);
  return 0;
}

struct fetch *client_stream_push_fetch(lua_State *L) {
  struct fetch *fetch = lua_newuserdatauv(L, sizeof *fetch, 0);
  memset(fetch, 0, sizeof *fetch);
  if (luaL_newmetatable(L, FETCH_CLASS)) {
    lua_pushcfunction(L, release_fetch);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return fetch;
}

void client_stream_attach(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushliteral(L, FIELD);
  lua_pushvalue(L, index);
  lua_rawset(L, -3);
  struct fetch *fetch = lua_touserdata(L, index);
  fetch->opened = opened_add(L, OPENED_STREAM);
}

/* The fetch of the response at `index`, NULL when its body is there; the stack stays. */
static struct fetch *find_fetch(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushliteral(L, FIELD);
  lua_rawget(L, index);
  struct fetch *fetch = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return fetch;
}

bool client_stream_is_at(lua_State *L, int index) {
  return find_fetch(L, index);
}

/* ---- reading ---- */

static lua_nret next_piece(lua_State *L, struct fetch *fetch);

static void drop(struct fetch *fetch) {
  opened_close(&fetch->opened);
  fetch_finish(fetch);
}

static int came(lua_State *L, int status, lua_KContext context) {
  struct fetch *fetch = (struct fetch *)context;
  (void)status;
  if (fiber_was_cancelled(L)) drop(fetch);
  fiber_check_cancelled(L);
  return next_piece(L, fetch);
}

static bool has_reader(const struct fetch *fetch) {
  struct fiber *fiber = fetch->ticket.fiber;
  return fiber && fiber->state == FIBER_PARKED && fiber_ticket(fiber).wait == fetch->ticket.wait;
}

static lua_nret next_piece(lua_State *L, struct fetch *fetch) {
  if (fetch->body.len > 0) {
    lua_pushlstring(L, fetch->body.data, fetch->body.len);
    fetch_flow_resume(fetch);
    return 1;
  }
  bool has_ended = fetch->outcome == FETCH_ENDED && fetch->code == CURLE_OK;
  if (has_ended || client_failure_is_there(fetch)) opened_close(&fetch->opened);
  if (has_ended) return 0;
  if (!fetch->easy) return luaL_error(L, "response:chunks() of a response that was closed");
  if (client_failure_is_there(fetch)) client_failure_raise(L, fetch);
  if (has_reader(fetch)) return luaL_error(L, "response:chunks(): another task is reading it");
  struct fiber *fiber = fiber_begin_wait(L, waits_for);
  fetch->ticket = fiber_ticket(fiber);
  return fiber_park(L, fiber, waits_for, (lua_KContext)fetch, came);
}

/* Upvalues: the response; whether the one piece of a buffered body has been given. */
static int next_chunk(lua_State *L) {
  lua_settop(L, 0);
  struct fetch *fetch = find_fetch(L, lua_upvalueindex(1));
  if (fetch) return next_piece(L, fetch);
  if (lua_toboolean(L, lua_upvalueindex(2))) return 0;
  lua_pushboolean(L, true);
  lua_replace(L, lua_upvalueindex(2));
  lua_getfield(L, lua_upvalueindex(1), "body");
  return lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0 ? 1 : 0;
}

int client_stream_chunks(lua_State *L) {
  client_response_check(L, "chunks");
  lua_settop(L, 1);
  lua_pushvalue(L, 1);
  lua_pushboolean(L, false);
  lua_pushcclosure(L, next_chunk, 2);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, 1);
  return 4;
}

int client_stream_close(lua_State *L) {
  client_response_check(L, "close");
  struct fetch *fetch = find_fetch(L, 1);
  if (!fetch) return 0;
  drop(fetch);
  fetch_wake(fetch);
  return 0;
}
