/* json.c - perilune.json for Lua code.
 *
 *   json.encode(value)          the text; errors of kind "json" name the path
 *   json.decode(text [, opts])  the value; opts.null = true keeps null members of objects
 *   json.null                   stands for null, where nil would leave nothing
 *   json.array(t)               marks t (a new table without it) as an array, and returns it
 *
 * Each state keeps one buffer for encoding, owned by a userdata so that an error leaks nothing. */
#include "lib/json.h"

#include "base/limits.h"
#include "core/class.h"
#include "lib/options.h"

#include <lauxlib.h>

static int text_gc(lua_State *L) {
  buffer_finish(lua_touserdata(L, 1));
  return 0;
}

/* Pushes a userdata that owns an empty buffer. */
static void push_text(lua_State *L) {
  struct buffer *text = lua_newuserdatauv(L, sizeof(*text), 0);
  *text = (struct buffer){0};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, text_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

/* Upvalue 1: the buffer. lua_pushlstring copies before it may run a finalizer, so an encode inside
 * a finalizer does not meet this one's text. */
static int json_encode_lua(lua_State *L) {
  struct buffer *text = lua_touserdata(L, lua_upvalueindex(1));
  luaL_checkany(L, 1);
  luaL_argcheck(L, lua_isnoneornil(L, 2), 2, "encode has no options");
  buffer_clear(text);
  json_encode(L, 1, text);
  lua_pushlstring(L, text->data, text->len);
  if (text->cap > JSON_KEEP_BYTES_MAX) buffer_finish(text);
  return 1;
}

unsigned json_decode_flags(lua_State *L, int index) {
  static const char *const names[] = {"null", NULL};
  options_check(L, index, names);
  if (lua_isnoneornil(L, index)) return 0;
  lua_getfield(L, index, "null");
  bool keep = lua_toboolean(L, -1);
  if (keep && !lua_isboolean(L, -1) && !class_is_null(L, -1)) {
    luaL_error(L, "option \"null\" is true or perilune.null, not a %s", luaL_typename(L, -1));
  }
  lua_pop(L, 1);
  return keep ? JSON_KEEP_NULL : 0;
}

static int json_decode_lua(lua_State *L) {
  size_t len;
  luaL_checktype(L, 1, LUA_TSTRING);
  const char *text = lua_tolstring(L, 1, &len);
  json_decode(L, text, len, json_decode_flags(L, 2));
  return 1;
}

static int json_array_lua(lua_State *L) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  class_set_array(L, 1);
  lua_settop(L, 1);
  return 1;
}

int luaopen_perilune_json(lua_State *L) {
  lua_createtable(L, 0, 4);
  push_text(L);
  lua_pushcclosure(L, json_encode_lua, 1);
  lua_setfield(L, -2, "encode");
  lua_pushcfunction(L, json_decode_lua);
  lua_setfield(L, -2, "decode");
  lua_pushcfunction(L, json_array_lua);
  lua_setfield(L, -2, "array");
  class_push_null(L);
  lua_setfield(L, -2, "null");
  return 1;
}
