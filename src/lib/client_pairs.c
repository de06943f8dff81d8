/* client_pairs.c - sorted walks over tables of names and values.
 *
 * Names end with their first NUL for curl, so one that has a NUL is refused here. */
#include "lib/client_pairs.h"

#include "core/class.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Pushes a userdata with the keys of the table at `table`, sorted, and gives their number. The
 * keys live as long as the table has them. */
static size_t push_names(lua_State *L, int table, const char *option) {
  size_t count = 0, at = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "option \"%s\" has names as keys, but one is a %s", option,
                 luaL_typename(L, -2));
    if (strlen(lua_tostring(L, -2)) != lua_rawlen(L, -2))
      luaL_error(L, "option \"%s\" has a name with a NUL", option);
    count++;
  }
  const char **names = lua_newuserdatauv(L, (count + 1) * sizeof *names, 0);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) names[at++] = lua_tostring(L, -2);
  qsort(names, count, sizeof *names, compare_names);
  return count;
}

/* Calls `take` with the value on top, or with each of its list. */
static void take_values(lua_State *L, struct fetch *fetch, const char *option, const char *name,
                        client_pairs_fn take, bool (*is_value)(lua_State *L)) {
  int value = lua_gettop(L);
  if (!lua_istable(L, value) || (is_value && is_value(L))) {
    take(L, fetch, name);
    return;
  }
  lua_Integer count = (lua_Integer)lua_rawlen(L, value);
  if (count == 0 && (lua_pushnil(L), lua_next(L, value)))
    luaL_error(L, "option \"%s\": \"%s\" is a table that is no list", option, name);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, value, i);
    take(L, fetch, name);
    lua_settop(L, value);
  }
}

void client_pairs_read(lua_State *L, struct fetch *fetch, const char *option, client_pairs_fn take,
                       bool (*is_value)(lua_State *L)) {
  int table = lua_gettop(L);
  if (!lua_istable(L, table))
    luaL_error(L, "option \"%s\" is a table, not a %s", option, luaL_typename(L, table));
  size_t count = push_names(L, table, option);
  const char **names = lua_touserdata(L, -1);
  for (size_t i = 0; i < count; i++) {
    lua_pushstring(L, names[i]);
    lua_rawget(L, table);
    take_values(L, fetch, option, names[i], take, is_value);
    lua_settop(L, table + 1);
  }
  lua_settop(L, table);
}

struct slice client_pairs_text(lua_State *L, const char *option, const char *name) {
  struct slice text;
  int type = lua_type(L, -1);
  if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
    luaL_error(L, "option \"%s\": \"%s\" is a string, number, boolean or list of them, not a %s",
               option, name, class_is_null(L, -1) ? "null" : lua_typename(L, type));
  text.data = luaL_tolstring(L, -1, &text.len);
  return text;
}

static void add_escaped(struct buffer *out, const char *text, size_t len) {
  static const char hex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < len; i++) {
    unsigned char byte = (unsigned char)text[i];
    if (isalnum(byte) || (byte && strchr("-._~", byte))) {
      buffer_add_byte(out, (char)byte);
    } else {
      const char escape[] = {'%', hex[byte >> 4], hex[byte & 15]};
      buffer_add(out, escape, sizeof escape);
    }
  }
}

void client_pairs_encode(struct buffer *out, const char *name, struct slice value) {
  if (out->len > 0) buffer_add_byte(out, '&');
  add_escaped(out, name, strlen(name));
  buffer_add_byte(out, '=');
  add_escaped(out, value.data, value.len);
}
