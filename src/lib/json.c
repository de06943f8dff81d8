/* json.c - perilune.json for Lua code.
 *
 *   json.encode(value [, opts])  the text; opts.sort_keys = true, opts.indent = 2 (spaces)
 *   json.decode(text [, opts])   the value; opts.null = true keeps null members of objects
 *   json.null                    stands for null, where nil would leave nothing
 *   json.array(t)                marks t (a new table without it) as an array, and returns it
 *
 * Each state keeps its buffers for encoding, owned by a userdata so that an error leaks nothing. */
#include "lib/json.h"

#include "base/limits.h"
#include "core/class.h"
#include "lib/options.h"

#include <lauxlib.h>

enum { INDENT_MAX = 16 };

struct texts {
  struct buffer encoded;
  struct json_sorter sorter;
};

static void finish_texts(struct texts *texts) {
  buffer_finish(&texts->encoded);
  buffer_finish(&texts->sorter.members);
  buffer_finish(&texts->sorter.text);
}

static int texts_gc(lua_State *L) {
  finish_texts(lua_touserdata(L, 1));
  return 0;
}

/* Pushes a userdata that owns empty buffers. */
static void push_texts(lua_State *L) {
  struct texts *texts = lua_newuserdatauv(L, sizeof(*texts), 0);
  *texts = (struct texts){0};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, texts_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

/* Raises for json:encode(value): what comes first is the module then, upvalue 1. */
static void check_dot(lua_State *L, const char *name) {
  if (lua_rawequal(L, 1, lua_upvalueindex(1))) luaL_error(L, "use a dot: json.%s(...)", name);
}

static int read_indent(lua_State *L) {
  int is_integer = 1, type = lua_getfield(L, 2, "indent");
  lua_Integer indent = type == LUA_TNIL ? 0 : lua_tointegerx(L, -1, &is_integer);
  if ((type != LUA_TNIL && type != LUA_TNUMBER) || !is_integer || indent < 0 || indent > INDENT_MAX)
    luaL_error(L, "option \"indent\" is a number of spaces from 0 to %d, not %s", INDENT_MAX,
               luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return (int)indent;
}

static bool read_sort_keys(lua_State *L) {
  int type = lua_getfield(L, 2, "sort_keys");
  bool sorts = lua_toboolean(L, -1);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    luaL_error(L, "option \"sort_keys\" is true or false, not a %s", lua_typename(L, type));
  lua_pop(L, 1);
  return sorts;
}

/* Encodes as the options at 2 say. */
static void encode_as(lua_State *L, struct texts *texts) {
  static const char *const names[] = {"sort_keys", "indent", NULL};
  options_check(L, 2, names);
  int indent = read_indent(L);
  struct json_sorter *sorter = read_sort_keys(L) ? &texts->sorter : NULL;
  buffer_clear(&texts->encoded); /* a finalizer may have encoded until here */
  json_encode_as(L, 1, &texts->encoded, indent, sorter);
}

/* Upvalues: the module, the buffers. lua_pushlstring copies before it may run a finalizer, so an
 * encode inside a finalizer does not meet this one's text. */
static int json_encode_lua(lua_State *L) {
  struct texts *texts = lua_touserdata(L, lua_upvalueindex(2));
  struct buffer *text = &texts->encoded;
  luaL_checkany(L, 1);
  check_dot(L, "encode");
  buffer_clear(text);
  if (lua_isnoneornil(L, 2))
    json_encode(L, 1, text);
  else
    encode_as(L, texts);
  lua_pushlstring(L, text->data, text->len);
  if (text->cap > JSON_KEEP_BYTES_MAX) finish_texts(texts);
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
  check_dot(L, "decode");
  luaL_checktype(L, 1, LUA_TSTRING);
  const char *text = lua_tolstring(L, 1, &len);
  json_decode(L, text, len, json_decode_flags(L, 2));
  return 1;
}

static int json_array_lua(lua_State *L) {
  check_dot(L, "array");
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
  static const luaL_Reg functions[] = {
      {"decode", json_decode_lua}, {"array", json_array_lua}, {NULL, NULL}};
  lua_createtable(L, 0, 4);
  lua_pushvalue(L, -1);
  luaL_setfuncs(L, functions, 1);
  lua_pushvalue(L, -1);
  push_texts(L);
  lua_pushcclosure(L, json_encode_lua, 2);
  lua_setfield(L, -2, "encode");
  class_push_null(L);
  lua_setfield(L, -2, "null");
  return 1;
}
