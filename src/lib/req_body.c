/* req_body.c - req:chunks() and req:is_disconnected().
 *
 * What is taken out of the exchange lets the client send more: that is all the backpressure there
 * is. Two readers of one body share it, each piece goes to one of them. */
#include "lib/req_body.h"

#include "core/error.h"
#include "core/fiber.h"
#include "http/status.h"
#include "lib/remote.h"
#include "lib/req.h"

#include <lauxlib.h>

static NO_RETURN void raise_broken(lua_State *L, int status) {
  if (status == 0)
    error_raise(L, "disconnected", "the client has left before the end of the request body");
  req_abort(L, status, "%s", status_reason(status));
}

static NO_RETURN void raise_ended(lua_State *L) {
  luaL_error(L, "req:chunks(): the request has ended: read its body in the handler, and give a "
                "task what it needs");
  __builtin_unreachable();
}

/* ---- on the request's own thread ---- */

static int next_here(lua_State *L);

static int came(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return next_here(L);
}

static int next_here(lua_State *L) {
  struct req_origin origin = req_find_origin(L, lua_upvalueindex(1), "chunks");
  struct req_source *source = origin.source;
  if (source->number != origin.number || !source->exchange) raise_ended(L);
  struct exchange *exchange = source->exchange;
  buffer_clear(&source->chunk);
  exchange_read(exchange, &source->chunk);
  if (source->chunk.len > 0) {
    lua_pushlstring(L, source->chunk.data, source->chunk.len);
    return 1;
  }
  if (exchange->body == EXCHANGE_BODY_WHOLE) return 0;
  if (exchange->body == EXCHANGE_BODY_BROKEN) raise_broken(L, exchange->body_status);
  struct fiber *fiber = fiber_begin_wait(L, "req:chunks");
  return fiber_park_in(L, fiber, &source->body_waiting, "req:chunks", 0, came);
}

/* ---- on a pool thread ---- */

static int came_remotely(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct remote *remote = (struct remote *)context;
  ask_end(L, &remote->ask);
  enum remote_result result = remote->result;
  int broken = remote->status;
  if (result == REMOTE_DONE) lua_pushlstring(L, remote->data.data, remote->data.len);
  ask_destroy(&remote->ask);
  switch (result) {
  case REMOTE_DONE:
    return 1;
  case REMOTE_END:
    return 0;
  case REMOTE_BROKEN:
    raise_broken(L, broken);
  case REMOTE_GONE:
    break;
  }
  raise_ended(L);
}

/* Upvalues: the req; whether the one piece of a buffered body has been given. */
static int next_chunk(lua_State *L) {
  struct req_origin origin = req_find_origin(L, lua_upvalueindex(1), "chunks");
  lua_settop(L, 0);
  if (!origin.streams_body) {
    if (origin.body.len == 0 || lua_toboolean(L, lua_upvalueindex(2))) return 0;
    lua_pushboolean(L, true);
    lua_replace(L, lua_upvalueindex(2));
    lua_pushlstring(L, origin.body.data, origin.body.len);
    return 1;
  }
  if (origin.is_here) return next_here(L);
  struct call_target target = {origin.source, origin.number, origin.home};
  return remote_send(L, REMOTE_READ, target, (struct slice){"", 0}, came_remotely);
}

int req_body_chunks(lua_State *L) {
  req_find_origin(L, 1, "chunks");
  lua_settop(L, 1);
  lua_pushboolean(L, false);
  lua_pushcclosure(L, next_chunk, 2);
  return 1;
}

/* ---- */

static int looked(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct remote *remote = (struct remote *)context;
  ask_end(L, &remote->ask);
  lua_pushboolean(L, remote->result == REMOTE_GONE);
  ask_destroy(&remote->ask);
  return 1;
}

int req_body_is_disconnected(lua_State *L) {
  struct req_origin origin = req_find_origin(L, 1, "is_disconnected");
  if (!origin.is_here && ask_is_possible(L)) {
    struct call_target target = {origin.source, origin.number, origin.home};
    return remote_send(L, REMOTE_HAS_LEFT, target, (struct slice){"", 0}, looked);
  }
  bool is_live = origin.is_here && origin.source->number == origin.number;
  lua_pushboolean(L, !is_live || !origin.source->exchange ||
                         exchange_has_left(origin.source->exchange));
  return 1;
}
