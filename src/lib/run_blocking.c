/* run_blocking.c - checks what is to be run, and hands it to the pools of the app.
 *
 * In a thread of a pool it goes the way of a blocking function that is called there. A background
 * function runs on its loop, from wherever it is asked for. */
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

/* Hands the function over, on the stack with its arguments; leaves them there and gives false when
 * it is to run inline after all. */
static bool submit(lua_State *L, const struct order *order, enum call_way way) {
  fiber_begin_wait(L, "async.run_blocking");
  struct call_host *host = place_host(L);
  if (!host)
    luaL_error(L, "async.run_blocking needs the pools of an app, and none is loaded here: "
                  "in specs, open a test client first");
  int top = lua_gettop(L);
  luaL_checkstack(L, top, "too many arguments");
  for (int i = 2; i <= top; i++) lua_pushvalue(L, i);
  call_prepare_function(L, host, top - 2, order->pool, order->timeout_ns);
  if (call_submit_nested(L, -1, way)) return true;
  lua_settop(L, top);
  return false;
}

/* run_blocking([{ pool=, timeout= },] fn, ...) -> what fn(...) gives */
static int run_blocking(lua_State *L) {
  struct order order = take_options(L);
  const struct place *place = place_of(L, 2);
  if (order.pool && place && place->loop)
    return luaL_error(L, "option \"pool\" is not for a background function: it runs on its loop");
  const char *own_pool = place ? place->pool : NULL;
  enum call_way way = call_find_way(L, place, place_host(L), order.pool ? order.pool : own_pool);
  if (way == CALL_INLINE) return run_inline(L, &order);
  if (!submit(L, &order, way)) return run_inline(L, &order);
  return call_await(L, -1);
}

void run_blocking_open(lua_State *L) {
  lua_getfield(L, -1, "timeout");
  lua_pushcclosure(L, run_blocking, 1);
  lua_setfield(L, -2, "run_blocking");
}
