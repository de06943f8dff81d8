/* run_blocking.c - checks what is to be run, and hands it to the pools of the app.
 *
 * In a thread of a pool the function runs right there, as a blocking function that is called does.
 * A background function runs on its loop, from wherever it is asked for. */
#include "lib/run_blocking.h"

#include "core/call.h"
#include "core/place.h"
#include "core/worker.h"
#include "lib/options.h"

#include <lauxlib.h>

struct order {
  const char *pool;    /* NULL: the function's own, or the default one */
  uint64_t timeout_ns; /* 0: none */
};

/* A table at 1 is the options; without them there is nil in its place afterwards, so that the
 * function is at 2. Raises at the caller's line. */
static struct order take_options(lua_State *L) {
  static const char *const names[] = {"pool", "timeout", NULL};
  struct order order = {0};
  if (!lua_istable(L, 1)) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_pushnil(L);
    lua_insert(L, 1);
    return order;
  }
  options_check(L, 1, names);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (lua_getfield(L, 1, "pool") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "option \"pool\" is a string, not a %s", luaL_typename(L, -1));
    order.pool = lua_tostring(L, -1); /* the table keeps it */
  }
  lua_pop(L, 1);
  if (lua_getfield(L, 1, "timeout") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER || !(lua_tonumber(L, -1) > 0))
      luaL_error(L, "option \"timeout\" is a number of seconds above 0, not %s",
                 luaL_tolstring(L, -1, NULL));
    order.timeout_ns = options_check_seconds(L, lua_gettop(L));
  }
  lua_pop(L, 1);
  return order;
}

static int ended(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L) - 1;
}

/* Stack: options, function, arguments. Upvalue 1: async.timeout. */
static int run_inline(lua_State *L, const struct order *order) {
  if (order->timeout_ns > 0) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_getfield(L, 1, "timeout");
    lua_rotate(L, 2, 2);
  }
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, ended);
  return ended(L, LUA_OK, 0);
}

/* run_blocking([{ pool=, timeout= },] fn, ...) -> what fn(...) gives */
static int run_blocking(lua_State *L) {
  struct order order = take_options(L);
  if (worker_of(L)->role->runs_blocking) return run_inline(L, &order);
  const struct place *place = place_of(L, 2);
  if (order.pool && place && place->loop)
    return luaL_error(L, "option \"pool\" is not for a background function: it runs on its loop");
  fiber_begin_wait(L, "async.run_blocking");
  struct call_host *host = place_host(L);
  if (!host)
    return luaL_error(L, "async.run_blocking needs the pools of an app, and none is loaded here: "
                         "in specs, open a test client first");
  call_prepare_function(L, host, lua_gettop(L) - 2, order.pool, order.timeout_ns);
  call_submit(L, -1);
  return call_await(L, -1);
}

void run_blocking_open(lua_State *L) {
  lua_getfield(L, -1, "timeout");
  lua_pushcclosure(L, run_blocking, 1);
  lua_setfield(L, -2, "run_blocking");
}
