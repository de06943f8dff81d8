/* stream.c - running the function of a streamed response, and its `write`.
 *
 * write(text) copies into the connection's output and waits only while the client is slow; it
 * raises kind "disconnected" once the client has left. What ends the response is up to the one who
 * runs the function (roles/http.c). */
#include "lib/stream.h"

#include "core/call.h"
#include "core/class.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/worker.h"
#include "lib/remote.h"
#include "lib/reply.h"

#include <lauxlib.h>
#include <string.h>

static const char keep_alive_comment[] = ":\n\n";

bool stream_is_at(lua_State *L, int index) {
  int top = lua_gettop(L);
  const char *class = lua_istable(L, index) ? class_name(L, index) : NULL;
  if (!class || strcmp(class, CLASS_RESPONSE) != 0) return false;
  bool is_stream = lua_getfield(L, index, "stream") == LUA_TFUNCTION ||
                   lua_getfield(L, index, "call") == LUA_TUSERDATA;
  lua_settop(L, top);
  return is_stream;
}

static NO_RETURN void raise_left(lua_State *L) {
  error_raise(L, "disconnected", "the client has left");
}

static struct slice check_text(lua_State *L) {
  struct slice text;
  if (lua_type(L, 1) != LUA_TSTRING && lua_type(L, 1) != LUA_TNUMBER)
    luaL_error(L, "write takes a string, not a %s", luaL_typename(L, 1));
  text.data = lua_tolstring(L, 1, &text.len);
  return text;
}

/* ---- on the request's own thread; upvalues: the source, its number, the worker ---- */

static struct exchange *find_exchange(lua_State *L) {
  const struct req_source *source = lua_touserdata(L, lua_upvalueindex(1));
  uint64_t number = (uint64_t)lua_tointeger(L, lua_upvalueindex(2));
  struct exchange *exchange = source->number == number ? source->exchange : NULL;
  if (!exchange || exchange->state != EXCHANGE_STREAMED)
    luaL_error(L, "write was called after the stream has ended");
  return exchange;
}

static int drained(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  if (!find_exchange(L)->connection) raise_left(L);
  fiber_check_cancelled(L);
  return 0;
}

static int write_here(lua_State *L) {
  struct exchange *exchange = find_exchange(L);
  struct req_source *source = lua_touserdata(L, lua_upvalueindex(1));
  struct slice text = check_text(L);
  if (!exchange->connection) raise_left(L);
  struct fiber *fiber = fiber_begin_wait(L, "write");
  source->wrote = true;
  if (exchange_write(exchange, text.data, text.len)) return 0;
  return fiber_park_in(L, fiber, &source->drain_waiting, "write", 0, drained);
}

/* ---- on a pool thread; the same upvalues ---- */

static int written(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct remote *remote = (struct remote *)context;
  ask_end(L, &remote->ask);
  bool has_left = remote->result == REMOTE_GONE;
  ask_destroy(&remote->ask);
  if (has_left) raise_left(L);
  return 0;
}

static int write_remotely(lua_State *L) {
  struct call_target target = {lua_touserdata(L, lua_upvalueindex(1)),
                               (uint64_t)lua_tointeger(L, lua_upvalueindex(2)),
                               (uint64_t)lua_tointeger(L, lua_upvalueindex(3))};
  return remote_send(L, REMOTE_WRITE, target, check_text(L), written);
}

static void push_writer(lua_State *L, lua_CFunction write, struct call_target target) {
  lua_pushlightuserdata(L, target.data);
  lua_pushinteger(L, (lua_Integer)target.number);
  lua_pushinteger(L, (lua_Integer)target.home);
  lua_pushcclosure(L, write, 3);
}

/* ---- running the function ---- */

static struct call_target target_of(lua_State *L, struct req_source *source) {
  return (struct call_target){source, source->number, worker_of(L)->number};
}

/* run_call(box, source): the function runs on its pool thread */
static int run_call(lua_State *L) {
  struct req_source *source = lua_touserdata(L, 2);
  lua_settop(L, 1);
  return call_accept(L, 1, target_of(L, source));
}

int stream_push(lua_State *L, int index, struct req_source *source) {
  index = lua_absindex(L, index);
  if (lua_getfield(L, index, "call") == LUA_TUSERDATA) {
    lua_pushcfunction(L, run_call);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, source);
    return 2;
  }
  lua_pop(L, 1);
  lua_getfield(L, index, "stream");
  push_writer(L, write_here, target_of(L, source));
  return 1;
}

lua_nret stream_offer(lua_State *L, lua_KFunction k) {
  lua_settop(L, 1);
  const char *field = lua_getfield(L, 1, "call") == LUA_TUSERDATA ? "call" : "stream";
  if (strcmp(field, "stream") == 0) lua_getfield(L, 1, field);
  lua_replace(L, 2);
  lua_settop(L, 2);
  lua_insert(L, 1);
  lua_pushnil(L);
  lua_setfield(L, 2, field);
  return call_offer(L, 1, k);
}

/* accept_offered(box, target): the function runs on a further pool's thread */
static int accept_offered(lua_State *L) {
  struct call_target target = {lua_touserdata(L, 2), (uint64_t)lua_tointeger(L, 3),
                               (uint64_t)lua_tointeger(L, 4)};
  lua_settop(L, 1);
  return call_accept(L, 1, target);
}

int stream_push_offered(lua_State *L, lua_KContext context) {
  struct call_target target = call_offered(L, context);
  lua_settop(L, 1);
  if (lua_isuserdata(L, 1)) {
    lua_pushcfunction(L, accept_offered);
    lua_insert(L, 1);
    lua_pushlightuserdata(L, target.data);
    lua_pushinteger(L, (lua_Integer)target.number);
    lua_pushinteger(L, (lua_Integer)target.home);
    return 4;
  }
  push_writer(L, write_remotely, target);
  return 1;
}

/* ---- keeping event streams alive ---- */

static void keep_alive(struct timer *timer) {
  struct req_source *source = container_of(timer, struct req_source, keep_alive);
  struct exchange *exchange = source->exchange;
  if (exchange->state != EXCHANGE_STREAMED || !exchange->connection) return;
  if (!source->wrote && !exchange->clogged)
    exchange_write(exchange, keep_alive_comment, sizeof keep_alive_comment - 1);
  source->wrote = false;
  timer_start(source->timers, timer, timers_now(source->timers) + source->keep_alive_ns,
              keep_alive);
}

void stream_keep_alive(lua_State *L, int index, struct req_source *source) {
  source->is_event_stream = lua_getfield(L, index, "keep_alive") != LUA_TNIL;
  lua_Number seconds = lua_tonumber(L, -1);
  lua_pop(L, 1);
  if (seconds <= 0) return;
  source->wrote = false;
  source->keep_alive_ns = (uint64_t)(seconds * (lua_Number)NS_PER_SECOND);
  timer_start(source->timers, &source->keep_alive,
              timers_now(source->timers) + source->keep_alive_ns, keep_alive);
}

void stream_stop_keeping(struct req_source *source) {
  if (timer_is_started(&source->keep_alive)) timer_stop(source->timers, &source->keep_alive);
  source->is_event_stream = false;
}
