/* context.c - reading, writing and going through perilune.context.
 *
 * `request_id` is the server's: the id of the request that the task belongs to, which log lines
 * have, too. */
#include "lib/context.h"

#include "core/context.h"
#include "core/fiber.h"
#include "core/place.h"
#include "lib/req.h"

#include <lauxlib.h>
#include <string.h>

#define REQUEST_ID "request_id"

/* Registry key: the table. */
static const char table_key = 0;

static bool is_request_id(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TSTRING && strcmp(lua_tostring(L, index), REQUEST_ID) == 0;
}

/* Pushes the id of the running fiber's request, or nil. */
static void push_request_id(lua_State *L) {
  const struct fiber *fiber = fiber_running(L);
  char id[17];
  if (!fiber || fiber->request == 0) {
    lua_pushnil(L);
    return;
  }
  req_format_id(id, fiber->request);
  lua_pushstring(L, id);
}

static int read_value(lua_State *L) {
  if (is_request_id(L, 2)) {
    push_request_id(L);
    return 1;
  }
  if (!context_push(L)) return 0;
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

static int write_value(lua_State *L) {
  if (!fiber_running(L) || place_is_loading(L))
    return luaL_error(L, "perilune.context belongs to a running task: while the app loads there is "
                         "none (app.settings holds for all)");
  if (is_request_id(L, 2)) return luaL_error(L, "context." REQUEST_ID " is set by the server");
  luaL_argcheck(L, !lua_isnil(L, 2), 2, "a key is not nil");
  luaL_argcheck(L, lua_type(L, 2) != LUA_TNUMBER || lua_tonumber(L, 2) == lua_tonumber(L, 2), 2,
                "a key is not nan");
  context_push_own(L);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  return 0;
}

/* Gives next and a copy, so that the context may be written meanwhile. */
static int go_through(lua_State *L) {
  lua_getglobal(L, "next");
  lua_newtable(L);
  if (context_push(L)) {
    for (lua_pushnil(L); lua_next(L, -2);) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -5);
    }
    lua_pop(L, 1);
  }
  push_request_id(L);
  lua_setfield(L, -2, REQUEST_ID);
  return 2;
}

void context_push_table(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"__index", read_value}, {"__newindex", write_value}, {"__pairs", go_through}, {NULL, NULL}};
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &table_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  luaL_newlib(L, functions);
  lua_pushliteral(L, "context");
  lua_setfield(L, -2, "__name");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &table_key);
}

int context_open(lua_State *L) {
  context_push_table(L);
  return 1;
}
