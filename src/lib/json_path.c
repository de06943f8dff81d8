/* json_path.c - building the path that an encoding error names.
 *
 * Runs only for errors. The parts are built on the Lua stack, so nothing leaks when there is no
 * memory for the message. */
#include "lib/json_path.h"

#include "lib/json_parse.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* A longer path ends in "...", a longer key too. */
enum { PATH_LEVELS_MAX = 16, PATH_KEY_BYTES_MAX = 64 };

static bool is_name(const char *key, size_t len) {
  if (len == 0 || len > PATH_KEY_BYTES_MAX || isdigit((unsigned char)key[0])) return false;
  for (size_t i = 0; i < len; i++) {
    if (!isalnum((unsigned char)key[i]) && key[i] != '_') return false;
  }
  return true;
}

static void add_quoted_byte(luaL_Buffer *out, unsigned char byte, bool is_utf8) {
  static const char digits[] = "0123456789ABCDEF";
  if (byte == '"' || byte == '\\') {
    luaL_addchar(out, '\\');
    luaL_addchar(out, (char)byte);
  } else if (isprint(byte) || (byte >= 0x80 && is_utf8)) {
    luaL_addchar(out, (char)byte);
  } else {
    luaL_addstring(out, "\\x");
    luaL_addchar(out, digits[byte >> 4]);
    luaL_addchar(out, digits[byte & 0xF]);
  }
}

void json_path_push_key(lua_State *L, int index) {
  size_t len;
  const char *key = lua_tolstring(L, index, &len);
  size_t shown = len > PATH_KEY_BYTES_MAX ? PATH_KEY_BYTES_MAX : len;
  bool is_utf8 = json_parse_is_utf8(key, shown);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  luaL_addchar(&out, '"');
  for (size_t i = 0; i < shown; i++) add_quoted_byte(&out, (unsigned char)key[i], is_utf8);
  luaL_addstring(&out, shown < len ? "...\"" : "\"");
  luaL_pushresult(&out);
}

/* Pushes what one level adds to a path. */
static void push_part(lua_State *L, int key) {
  if (lua_type(L, key) == LUA_TSTRING) {
    size_t len;
    const char *text = lua_tolstring(L, key, &len);
    if (is_name(text, len)) {
      lua_pushfstring(L, ".%s", text);
      return;
    }
    json_path_push_key(L, key);
  } else {
    luaL_tolstring(L, key, NULL);
  }
  lua_pushfstring(L, "[%s]", lua_tostring(L, -1));
  lua_remove(L, -2);
}

void json_path_push(lua_State *L, int root, int levels) {
  int shown = levels > PATH_LEVELS_MAX ? PATH_LEVELS_MAX : levels;
  luaL_checkstack(L, PATH_LEVELS_MAX + LUA_MINSTACK, "path");
  lua_pushliteral(L, "value");
  for (int level = 1; level <= shown; level++) push_part(L, root + 2 * level - 1);
  if (shown < levels) lua_pushliteral(L, "...");
  lua_concat(L, shown + 1 + (shown < levels));
}
