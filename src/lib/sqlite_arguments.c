/* sqlite_arguments.c - Lua values as SQLite's.
 *
 * A table can be no value, so the place of one tells what it is. */
#include "lib/sqlite_arguments.h"

#include "core/class.h"
#include "lib/options.h"
#include "lib/sqlite_handle.h"

#include <lauxlib.h>
#include <limits.h>

/* Appends the value at `index`; false when it can be none. */
static bool add_value(lua_State *L, int index, struct buffer *out) {
  struct slice bytes;
  switch (lua_type(L, index)) {
  case LUA_TNIL:
    sqlite_value_add_null(out);
    return true;
  case LUA_TBOOLEAN:
    sqlite_value_add_integer(out, lua_toboolean(L, index));
    return true;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index))
      sqlite_value_add_integer(out, lua_tointeger(L, index));
    else
      sqlite_value_add_number(out, lua_tonumber(L, index));
    return true;
  case LUA_TSTRING:
    bytes.data = lua_tolstring(L, index, &bytes.len);
    if (bytes.len <= INT_MAX)
      sqlite_value_add_bytes(out, SQLITE_TEXT, bytes.data, (uint32_t)bytes.len);
    return bytes.len <= INT_MAX;
  default:
    if (class_is_null(L, index)) {
      sqlite_value_add_null(out);
      return true;
    }
    if (!sqlite_handle_read_blob(L, index, &bytes) || bytes.len > INT_MAX) return false;
    sqlite_value_add_bytes(out, SQLITE_BLOB, bytes.data, (uint32_t)bytes.len);
    return true;
  }
}

static void read_in_order(lua_State *L, int first, int last, struct sqlite_parameters *out) {
  for (int i = first; i <= last; i++) {
    if (!add_value(L, i, &out->bytes))
      luaL_argerror(
          L, i, lua_pushfstring(L, "a %s cannot be the value of a parameter", luaL_typename(L, i)));
    out->count++;
  }
}

static void read_by_name(lua_State *L, int table, struct sqlite_parameters *out) {
  out->are_named = true;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    size_t len;
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_argerror(L, table,
                    "a table gives parameters by name; the values of ? are arguments "
                    "(table.unpack)");
    const char *name = lua_tolstring(L, -2, &len);
    sqlite_value_add_bytes(&out->bytes, SQLITE_TEXT, name, (uint32_t)len);
    if (!add_value(L, lua_gettop(L), &out->bytes))
      luaL_argerror(L, table,
                    lua_pushfstring(L, "a %s cannot be the value of parameter \"%s\"",
                                    luaL_typename(L, -1), name));
    out->count++;
  }
}

static void read_options(lua_State *L, int index, bool *nulls) {
  static const char *const names[] = {"null", NULL};
  options_check(L, index, names);
  int type = lua_getfield(L, index, "null");
  if (type != LUA_TNIL && !class_is_null(L, -1))
    luaL_error(L, "option \"null\" is perilune.null, not a %s", lua_typename(L, type));
  if (type != LUA_TNIL) *nulls = true;
  lua_pop(L, 1);
}

/* Whether the table is { null = perilune.null } and nothing else. */
static bool is_options(lua_State *L, int index) {
  lua_pushliteral(L, "null");
  lua_rawget(L, index);
  bool is_null = class_is_null(L, -1);
  lua_pop(L, 1);
  if (!is_null) return false;
  int count = 0;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) count++;
  return count == 1;
}

void sqlite_arguments_read(lua_State *L, int first, int last, struct sqlite_parameters *out,
                           bool *nulls) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  bool is_by_name = last >= first && lua_istable(L, first);
  if (is_by_name && last > first + 1)
    luaL_argerror(L, first, "one table has all parameters, by name");
  bool has_options =
      is_by_name ? last > first || is_options(L, first) : last >= first && lua_istable(L, last);
  if (has_options) {
    luaL_checktype(L, last, LUA_TTABLE);
    read_options(L, last--, nulls);
  }
  if (!is_by_name)
    read_in_order(L, first, last, out);
  else if (last >= first)
    read_by_name(L, first, out);
}
