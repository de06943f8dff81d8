/* client.c - the functions of perilune.native.http, and the pool of connections of a Lua state.
 *
 * get, post, put, patch, delete, head, options and request; perilune.http (in Lua) has them as they
 * are and makes clients with defaults out of merged and check. */
#include "lib/client.h"

#include "core/worker.h"
#include "lib/client_call.h"
#include "lib/client_request.h"
#include "lib/client_response.h"
#include "lib/fetch_pool.h"
#include "lib/options.h"

#include <lauxlib.h>
#include <string.h>

#define POOL_CLASS "perilune.http.pool"

/* Registry key of the state's pool; its address counts. */
static const char pool_key = 0;

static const char *const option_names[] = {CLIENT_OPTIONS, NULL};

static int release_pool(lua_State *L) {
  fetch_pool_finish(lua_touserdata(L, 1));
  return 0;
}

static struct fetch_pool *push_pool(lua_State *L) {
  struct fetch_pool *pool = lua_newuserdatauv(L, sizeof *pool, 0);
  memset(pool, 0, sizeof *pool);
  if (luaL_newmetatable(L, POOL_CLASS)) {
    lua_pushcfunction(L, release_pool);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return pool;
}

struct fetch_pool *client_pool(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &pool_key);
  struct fetch_pool *pool = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return pool;
}

static struct fetch_pool *take_pool(lua_State *L) {
  struct fetch_pool *pool = client_pool(L);
  if (pool) return pool;
  struct worker *worker = worker_of(L);
  pool = push_pool(L);
  if (!fetch_pool_init(pool, worker)) client_request_raise_no_memory(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &pool_key);
  return pool;
}

/* http.get(url, options) and its like; upvalues: the method, the name of the function. */
static int send_method(lua_State *L) {
  const char *name = lua_tostring(L, lua_upvalueindex(2));
  lua_settop(L, 2);
  if (lua_istable(L, 1)) luaL_error(L, "use a dot: %s(url, options)", name);
  luaL_checktype(L, 1, LUA_TSTRING);
  options_check(L, 2, option_names);
  lua_pushvalue(L, lua_upvalueindex(1));
  return client_call(L, take_pool(L), fiber_begin_wait(L, name));
}

/* http.request{ method=, url=, ... } */
static int send_request(lua_State *L) {
  static const char *const names[] = {"method", "url", CLIENT_OPTIONS, NULL};
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_gettop(L) > 1) luaL_error(L, "use a dot: http.request { url = ... }");
  options_check(L, 1, names);
  if (lua_getfield(L, 1, "url") != LUA_TSTRING)
    luaL_error(L, "option \"url\" is a string, not a %s", luaL_typename(L, 2));
  lua_insert(L, 1);
  int type = lua_getfield(L, 2, "method");
  if (type == LUA_TNIL) lua_pushliteral(L, "GET"), lua_replace(L, 3);
  if (type != LUA_TNIL && type != LUA_TSTRING)
    luaL_error(L, "option \"method\" is a string, not a %s", lua_typename(L, type));
  return client_call(L, take_pool(L), fiber_begin_wait(L, "http.request"));
}

/* A method of a client; upvalues: merge, its name. merge(...) gives the URL, the options and the
 * request method; since C calls it, what is wrong in them is told of the line that called C. */
static int send_merged(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 3);
  options_check(L, 2, option_names);
  struct fiber *fiber = fiber_begin_wait(L, lua_tostring(L, lua_upvalueindex(2)));
  return client_call(L, take_pool(L), fiber);
}

/* merged(merge, name) -> a method of a client */
static int make_merged(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_checktype(L, 2, LUA_TSTRING);
  lua_settop(L, 2);
  lua_pushcclosure(L, send_merged, 2);
  return 1;
}

/* check(options): raises for what is wrong in them */
static int check_options(lua_State *L) {
  lua_settop(L, 1);
  options_check(L, 1, option_names);
  lua_pushliteral(L, "http://localhost/");
  lua_insert(L, 1);
  lua_pushliteral(L, "OPTIONS");
  client_call_check(L);
  return 0;
}

int client_open(lua_State *L) {
  static const char *const methods[] = {"get", "post", "put", "patch", "delete", "head", "options"};
  static const luaL_Reg functions[] = {
      {"request", send_request}, {"merged", make_merged}, {"check", check_options}, {NULL, NULL}};
  client_response_open(L);
  luaL_newlib(L, functions);
  for (size_t i = 0; i < array_len(methods); i++) {
    lua_pushstring(L, methods[i]);
    lua_pushfstring(L, "http.%s", methods[i]);
    lua_pushcclosure(L, send_method, 2);
    lua_setfield(L, -2, methods[i]);
  }
  return 1;
}
