/* error.c - making and telling Perilune's error tables.
 *
 * A table is one of them when it has the metatable of the class "perilune.error", whatever else
 * was put into it: libraries add fields of their own (`status`, `path`). */
#include "core/error.h"

#include "base/limits.h"
#include "core/class.h"
#include "core/fiber.h"
#include "core/worker.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <string.h>

static int error_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "message");
  luaL_tolstring(L, -1, NULL);
  return 1;
}

/* Pushes the metatable; `__tostring` is what shows that it is complete. */
static void push_metatable(lua_State *L) {
  class_push(L, CLASS_ERROR);
  lua_pushliteral(L, "__tostring");
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pushcfunction(L, error_tostring);
    lua_setfield(L, -3, "__tostring");
  }
  lua_pop(L, 1);
}

void error_open(lua_State *L) {
  push_metatable(L);
  lua_pop(L, 1);
}

static void push_error(lua_State *L, const char *kind, const char *format, va_list args) {
  luaL_checkstack(L, 6, "error");
  lua_createtable(L, 0, 2);
  lua_pushstring(L, kind);
  lua_setfield(L, -2, "kind");
  lua_pushvfstring(L, format, args);
  lua_setfield(L, -2, "message");
  push_metatable(L);
  lua_setmetatable(L, -2);
}

void error_push(lua_State *L, const char *kind, const char *format, ...) {
  va_list args;
  va_start(args, format);
  push_error(L, kind, format, args);
  va_end(args);
}

void error_raise(lua_State *L, const char *kind, const char *format, ...) {
  va_list args;
  va_start(args, format);
  push_error(L, kind, format, args);
  va_end(args);
  lua_error(L);
  __builtin_unreachable();
}

const char *error_kind(lua_State *L, int index) {
  if (!lua_istable(L, index)) return NULL;
  luaL_checkstack(L, 3, "error");
  int error = lua_absindex(L, index);
  if (!lua_getmetatable(L, error)) return NULL;
  class_push(L, CLASS_ERROR);
  const char *kind = NULL;
  if (lua_rawequal(L, -1, -2)) {
    lua_pushliteral(L, "kind");
    if (lua_rawget(L, error) == LUA_TSTRING) kind = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  return kind;
}

bool error_is(lua_State *L, int index, const char *kind) {
  const char *found = error_kind(L, index);
  return found && strcmp(found, kind) == 0;
}

enum { TEXT_FIELDS_MAX = 8 };

static void push_fields(lua_State *L, int index) {
  int count = 0;
  lua_pushliteral(L, "{");
  for (lua_pushnil(L); lua_next(L, index); count++) {
    if (count == TEXT_FIELDS_MAX) {
      lua_pop(L, 2);
      break;
    }
    const char *value = luaL_tolstring(L, -1, NULL);
    const char *quote = lua_type(L, -2) == LUA_TSTRING ? "\"" : "";
    const char *key = luaL_tolstring(L, -3, NULL);
    lua_pushfstring(L, "%s%s %s = %s%s%s", lua_tostring(L, -5), count ? "," : "", key, quote, value,
                    quote);
    lua_replace(L, -6);
    lua_pop(L, 3); /* both texts and the value; the key stays */
  }
  lua_pushfstring(L, "%s }", lua_tostring(L, -1));
}

/* tell(error) -> its text; raises what a __tostring raises */
static int tell(lua_State *L) {
  luaL_checkstack(L, 8, NULL);
  if (lua_istable(L, 1) && luaL_getmetafield(L, 1, "__tostring") == LUA_TNIL)
    push_fields(L, 1);
  else
    luaL_tolstring(L, 1, NULL);
  return 1;
}

/* A __tostring that does not end is interrupted as a `<close>` handler is: after its grace. */
static int call_tell(lua_State *L) {
  const struct worker *worker = worker_of(L); /* NULL: a state that is none of a worker */
  struct fiber *fiber = worker ? worker->running : NULL;
  bool has_code = lua_istable(L, -1) || lua_isuserdata(L, -1);
  if (!fiber || !has_code) return lua_pcall(L, 1, 1, 0);
  struct scope grace = {0};
  scope_push(fiber, &grace, 0, false);
  grace.interrupt_ns = uv_hrtime() + INTERRUPT_GRACE_MS * NS_PER_MS;
  scope_refresh(fiber);
  int status = lua_pcall(L, 1, 1, 0);
  scope_pop(&grace);
  return status;
}

const char *error_push_text(lua_State *L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 3, NULL);
  lua_pushcfunction(L, tell);
  lua_pushvalue(L, index);
  if (call_tell(L) != LUA_OK) {
    const char *problem = lua_tostring(L, -1);
    lua_pushfstring(L, "an error that is a %s and cannot be told: %s", luaL_typename(L, index),
                    problem ? problem : "its __tostring failed");
    lua_remove(L, -2);
  }
  return lua_tostring(L, -1);
}
