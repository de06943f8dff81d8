/* client_call.c - the loop of a call: something has happened, so what is next?
 *
 * The stack of the call holds what its continuations need. Its guard is a to-be-closed value. While
 * a function makes a piece its scope is cancelled when the request ends: a wait in there is over
 * then, and what it would have given is of no use. */
#include "lib/client_call.h"

#include "core/scope.h"
#include "core/worker.h"
#include "lib/client_failure.h"
#include "lib/client_request.h"
#include "lib/client_response.h"
#include "lib/client_retry.h"
#include "lib/client_stream.h"
#include "lib/fetch_flow.h"

#include <lauxlib.h>
#include <string.h>

#define GUARD_CLASS "perilune.http.call"

static const char waits_for[] = "an HTTP response";

enum { AT_URL = 1, AT_OPTIONS, AT_METHOD, AT_FETCH, AT_GUARD, AT_BODY };

struct call {
  struct fetch *fetch; /* NULL once it is another's */
  struct fetch_pool *pool;
  struct client_retry retry;
  lua_Integer attempt;
  struct scope scope; /* around the function that makes the body */
};

static lua_nret go_on(lua_State *L);

static struct call *call_here(lua_State *L) {
  return lua_touserdata(L, AT_GUARD);
}

static int close_guard(lua_State *L) {
  struct call *call = lua_touserdata(L, 1);
  struct fetch *fetch = call->fetch;
  call->fetch = NULL;
  scope_pop(&call->scope);
  if (!fetch) return 0;
  fetch->feeding = NULL;
  fetch_finish(fetch);
  return 0;
}

/* Pushes the guard, which keeps its fetch. */
static struct call *push_guard(lua_State *L, struct fetch *fetch) {
  struct call *call = lua_newuserdatauv(L, sizeof *call, 1);
  *call = (struct call){.fetch = fetch};
  lua_pushvalue(L, AT_FETCH);
  lua_setiuservalue(L, -2, 1);
  if (luaL_newmetatable(L, GUARD_CLASS)) {
    lua_pushcfunction(L, close_guard);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, close_guard);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  return call;
}

/* ---- waiting ---- */

static int woken(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return go_on(L);
}

static lua_nret wait(lua_State *L, struct fetch *fetch) {
  struct fiber *fiber = fiber_begin_wait(L, waits_for);
  fetch->ticket = fiber_ticket(fiber);
  return fiber_park(L, fiber, waits_for, 0, woken);
}

static lua_nret start(lua_State *L, struct call *call) {
  call->attempt++;
  if (!fetch_start(call->pool, call->fetch)) client_request_raise_no_memory(L);
  return go_on(L);
}

static int waited(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return start(L, call_here(L));
}

static lua_nret wait_and_start(lua_State *L, uint64_t wait_ns) {
  static const char what[] = "the next attempt of an HTTP request";
  struct fiber *fiber = fiber_begin_wait(L, what);
  fetch_stop(call_here(L)->fetch);
  return fiber_park_until(L, fiber, what, timers_now(fiber->timers) + wait_ns, 0, waited);
}

/* ---- a body that is a function ---- */

/* The piece on top of the stack. */
static void give(lua_State *L, struct fetch *fetch) {
  int64_t all = fetch->request.pieces_bytes;
  if (lua_isnil(L, -1)) {
    if (all >= 0 && fetch->given < (uint64_t)all)
      luaL_error(L, "the body ended after %I bytes, but its Content-Length is %I",
                 (LUAI_UACINT)fetch->given, (LUAI_UACINT)all);
    fetch_flow_give_end(fetch);
    return;
  }
  size_t len;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "the function of a body gives strings, and nil at the end, not a %s",
               luaL_typename(L, -1));
  const char *data = lua_tolstring(L, -1, &len);
  if (all >= 0 && len > (uint64_t)all - fetch->given)
    luaL_error(L, "the body has more bytes than its Content-Length, %I", (LUAI_UACINT)all);
  if (len > 0) fetch_flow_give(fetch, data, len);
}

static int piece_made(lua_State *L, int status, lua_KContext context) {
  struct call *call = call_here(L);
  struct fetch *fetch = call->fetch;
  bool failed = status != LUA_OK && status != LUA_YIELD;
  (void)context;
  fetch->feeding = NULL;
  scope_pop(&call->scope);
  bool is_over = fetch->outcome != FETCH_PENDING || fetch->is_refused;
  if (failed && (!is_over || fiber_running(L)->cancelled)) return lua_error(L);
  if (!is_over)
    give(L, fetch);
  else
    fetch_flow_give_end(fetch);
  lua_settop(L, AT_BODY);
  if (fetch->wants_piece) return fiber_pause(L, waits_for, 0, woken);
  return go_on(L);
}

static lua_nret make_piece(lua_State *L, struct call *call) {
  lua_pushcfunction(L, fiber_save_trail);
  lua_pushvalue(L, AT_BODY);
  call->scope = (struct scope){0};
  call->fetch->feeding = &call->scope;
  scope_push(fiber_running(L), &call->scope, 0, false);
  return piece_made(L, lua_pcallk(L, 0, 1, AT_BODY + 1, 0, piece_made), 0);
}

/* ---- the end ---- */

static lua_nret finish(lua_State *L, struct call *call) {
  struct fetch *fetch = call->fetch;
  struct fiber *fiber = fiber_running(L);
  uint64_t wait_ns;
  if (client_retry_is_due(&call->retry, fetch, call->attempt, fiber, &wait_ns))
    return wait_and_start(L, wait_ns);
  bool is_stream = fetch->request.stream && fetch->has_head;
  if (!is_stream && client_failure_is_there(fetch)) client_failure_raise(L, fetch);
  uint64_t elapsed_ns = timers_now(&fiber->worker->timers) - fetch->began_ns;
  client_response_push(L, fetch, (lua_Number)elapsed_ns / (lua_Number)NS_PER_SECOND);
  if (!is_stream) return 1;
  client_stream_attach(L, AT_FETCH);
  call->fetch = NULL;
  return 1;
}

static lua_nret go_on(lua_State *L) {
  struct call *call = call_here(L);
  struct fetch *fetch = call->fetch;
  if (fetch->outcome != FETCH_PENDING) return finish(L, call);
  if (fetch->wants_piece && fetch->is_refused) fetch_flow_give_end(fetch);
  if (fetch->wants_piece) return make_piece(L, call);
  if (fetch->request.stream && fetch->has_head && fetch->gave_all) return finish(L, call);
  return wait(L, fetch);
}

/* ---- the call ---- */

static struct call *read_call(lua_State *L) {
  struct fetch *fetch = client_stream_push_fetch(L);
  struct call *call = push_guard(L, fetch);
  const char *method = lua_tostring(L, AT_METHOD);
  client_request_read(L, fetch, &call->retry, method, AT_URL, AT_OPTIONS);
  return call;
}

lua_nret client_call(lua_State *L, struct fetch_pool *pool, struct fiber *fiber) {
  struct call *call = read_call(L);
  call->pool = pool;
  lua_toclose(L, AT_GUARD);
  client_request_push_option(L, AT_OPTIONS, "body");
  /* In a cancelled scope the wait ends at once: nothing is sent. */
  return fiber->cancelled ? wait(L, call->fetch) : start(L, call);
}

void client_call_check(lua_State *L) {
  read_call(L);
}
