/* client.c - the functions of perilune.http: from a call to a fetch, and from its end to a result.
 *
 * A call makes a userdata that owns its fetch from the first byte on, starts it and parks; the
 * continuation pushes the response or raises. A wait that ends any other way (cancelled, collected
 * with its fiber) drops the request at once. Timeouts run on the worker's real clock, whatever
 * clock the fiber lives on. */
#include "lib/client.h"

#include "base/limits.h"
#include "core/error.h"
#include "core/worker.h"
#include "lib/client_request.h"
#include "lib/client_response.h"
#include "lib/fetch.h"
#include "lib/options.h"

#include <lauxlib.h>
#include <string.h>

#define POOL_CLASS  "perilune.http.pool"
#define FETCH_CLASS "perilune.http.fetch"

/* Registry key of the state's pool; its address counts. */
static const char pool_key = 0;

/* ---- what the state owns ---- */

static int release_pool(lua_State *L) {
  fetch_pool_finish(lua_touserdata(L, 1));
  return 0;
}

static int release_fetch(lua_State *L) {
  fetch_finish(lua_touserdata(L, 1));
  return 0;
}

/* Pushes a zeroed userdata with a finalizer. */
static void *push_owned(lua_State *L, size_t size, const char *class, lua_CFunction release) {
  void *owned = lua_newuserdatauv(L, size, 0);
  memset(owned, 0, size);
  if (luaL_newmetatable(L, class)) {
    lua_pushcfunction(L, release);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return owned;
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
  pool = push_owned(L, sizeof *pool, POOL_CLASS, release_pool);
  if (!fetch_pool_init(pool, &worker->loop, &worker->timers)) luaL_error(L, "not enough memory");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &pool_key);
  return pool;
}

/* ---- the end ---- */

static int raise_timeout(lua_State *L, struct fetch *fetch, const char *what, uint64_t after_ns) {
  error_push(L, "timeout", "%s: %s within %f s", fetch->label.data, what,
             (lua_Number)after_ns / (lua_Number)NS_PER_SECOND);
  fetch_finish(fetch);
  return lua_error(L);
}

/* The reason of a failure in words. */
static const char *push_problem(lua_State *L, const struct fetch *fetch) {
  if (fetch->too_large)
    return lua_pushfstring(L, "the response is larger than %d MiB (its head: %d KiB)",
                           HTTP_RESPONSE_BYTES_MAX / (1024 * 1024),
                           HTTP_RESPONSE_HEAD_BYTES_MAX / 1024);
  return lua_pushstring(L, *fetch->problem ? fetch->problem : curl_easy_strerror(fetch->code));
}

static int raise_failure(lua_State *L, struct fetch *fetch) {
  const struct fetch_request *request = &fetch->request;
  if (fetch->code == CURLE_OPERATION_TIMEDOUT)
    return raise_timeout(L, fetch, "no connection", request->connect_timeout_ms * NS_PER_MS);
  error_push(L, "http", "%s: %s", fetch->label.data, push_problem(L, fetch));
  lua_pushinteger(L, fetch->code);
  lua_setfield(L, -2, "code");
  fetch_finish(fetch);
  return lua_error(L);
}

static int woken(lua_State *L, int status, lua_KContext context) {
  struct fetch *fetch = (struct fetch *)context;
  (void)status;
  if (fiber_was_cancelled(L)) {
    fetch_finish(fetch);
    fiber_check_cancelled(L);
  }
  if (fetch->outcome == FETCH_TIMED_OUT)
    return raise_timeout(L, fetch, "no complete response", fetch->request.timeout_ns);
  if (fetch->code != CURLE_OK) return raise_failure(L, fetch);
  client_response_push(L, fetch);
  fetch_finish(fetch);
  return 1;
}

/* ---- the call ---- */

/* Sends a request and waits; the URL and the options (or nil) are at `url` and `options`. */
static lua_nret start(lua_State *L, struct fiber *fiber, const char *method, int url, int options) {
  struct fetch_pool *pool = take_pool(L);
  struct fetch *fetch = push_owned(L, sizeof *fetch, FETCH_CLASS, release_fetch);
  client_request_read(L, fetch, method, url, options);
  /* In a cancelled scope the wait ends at once: nothing is sent. */
  if (!fiber->cancelled && !fetch_start(pool, fetch, fiber_ticket(fiber)))
    luaL_error(L, "not enough memory");
  return fiber_park(L, fiber, "an HTTP response", (lua_KContext)fetch, woken);
}

/* http.get(url, opts) and its like; upvalues: the method, the name of the function. */
static int send_method(lua_State *L) {
  static const char *const names[] = {CLIENT_OPTIONS, NULL};
  const char *name = lua_tostring(L, lua_upvalueindex(2));
  lua_settop(L, 2);
  if (lua_istable(L, 1)) luaL_error(L, "use a dot: %s(url, options)", name);
  luaL_checktype(L, 1, LUA_TSTRING);
  options_check(L, 2, names);
  struct fiber *fiber = fiber_begin_wait(L, name);
  return start(L, fiber, lua_tostring(L, lua_upvalueindex(1)), 1, 2);
}

/* http.request{ method=, url=, ... } */
static int send_request(lua_State *L) {
  static const char *const names[] = {"method", "url", CLIENT_OPTIONS, NULL};
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_gettop(L) > 1) luaL_error(L, "use a dot: http.request { url = ... }");
  options_check(L, 1, names);
  if (lua_getfield(L, 1, "url") != LUA_TSTRING)
    luaL_error(L, "option \"url\" is a string, not a %s", luaL_typename(L, 2));
  int type = lua_getfield(L, 1, "method");
  if (type != LUA_TNIL && type != LUA_TSTRING)
    luaL_error(L, "option \"method\" is a string, not a %s", lua_typename(L, type));
  struct fiber *fiber = fiber_begin_wait(L, "http.request");
  return start(L, fiber, type == LUA_TNIL ? "GET" : lua_tostring(L, 3), 2, 1);
}

int client_open(lua_State *L) {
  static const char *const methods[] = {"get", "post", "put", "patch", "delete", "head", "options"};
  client_response_open(L);
  lua_createtable(L, 0, array_len(methods) + 1);
  for (size_t i = 0; i < array_len(methods); i++) {
    lua_pushstring(L, methods[i]);
    lua_pushfstring(L, "http.%s", methods[i]);
    lua_pushcclosure(L, send_method, 2);
    lua_setfield(L, -2, methods[i]);
  }
  lua_pushcfunction(L, send_request);
  lua_setfield(L, -2, "request");
  return 1;
}
