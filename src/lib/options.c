/* options.c - option names and the nearest known one.
 *
 * Nearest is by edit distance: insertions, deletions and replacements of one byte. Only the first
 * OPTION_NAME_MAX bytes of a name count, which bounds the work for whatever was passed. */
#include "lib/options.h"

#include "base/settings.h"
#include "core/timer.h"

#include <assert.h>
#include <lauxlib.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

enum { OPTION_NAME_MAX = 32 };

/* Beyond it a time is as good as never: 100 years in seconds. */
static const lua_Number seconds_max = 3.2e9;

static size_t min_size(size_t a, size_t b) {
  return a < b ? a : b;
}

/* One row of the table of distances at a time: row[j] is the distance of the first i bytes of `a`
 * from the first j of `b`. */
static size_t edit_distance(const char *a, const char *b) {
  size_t a_len = strnlen(a, OPTION_NAME_MAX), b_len = strnlen(b, OPTION_NAME_MAX);
  size_t row[OPTION_NAME_MAX + 1];
  for (size_t j = 0; j <= b_len; j++) row[j] = j;
  for (size_t i = 1; i <= a_len; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b_len; j++) {
      size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = min_size(replaced, min_size(row[j], row[j - 1]) + 1);
    }
  }
  return row[b_len];
}

const char *options_nearest(const char *name, const char *const names[]) {
  const char *best = names[0];
  for (size_t i = 1; names[i]; i++) {
    if (edit_distance(name, names[i]) < edit_distance(name, best)) best = names[i];
  }
  return best;
}

static bool is_known(const char *name, const char *const names[]) {
  for (size_t i = 0; names[i]; i++) {
    if (strcmp(name, names[i]) == 0) return true;
  }
  return false;
}

void options_check(lua_State *L, int index, const char *const names[]) {
  assert(names[0]);
  if (lua_isnoneornil(L, index)) return;
  luaL_checktype(L, index, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      luaL_error(L, "options have names, but one has a %s as its key", luaL_typename(L, -2));
    }
    const char *name = lua_tostring(L, -2);
    if (!is_known(name, names)) {
      luaL_error(L, "unknown option \"%s\" (did you mean \"%s\"?)", name,
                 options_nearest(name, names));
    }
  }
}

uint64_t options_check_seconds(lua_State *L, int index) {
  lua_Number seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, !isnan(seconds), index, "a number of seconds expected, got nan");
  return options_seconds(seconds);
}

uint64_t options_seconds(lua_Number seconds) {
  if (!(seconds > 0)) return 0;
  return (uint64_t)((seconds < seconds_max ? seconds : seconds_max) * (lua_Number)NS_PER_SECOND);
}

/* ---- values; each is pushed and popped ---- */

/* Pushes the value of an option; gives its type. */
static int push_value(lua_State *L, int index, const char *name) {
  if (!lua_isnoneornil(L, index)) return lua_getfield(L, index, name);
  lua_pushnil(L);
  return LUA_TNIL;
}

/* Raises for the value on top of the stack. */
static NO_RETURN void raise_wrong(lua_State *L, const char *name, const char *expected) {
  luaL_error(L, "option \"%s\" is %s, not %s", name, expected, options_push_shown(L, -1));
  __builtin_unreachable();
}

bool options_flag(lua_State *L, int index, const char *name, bool fallback) {
  int type = push_value(L, index, name);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN) raise_wrong(L, name, "true or false");
  bool value = type == LUA_TNIL ? fallback : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

uint64_t options_bytes(lua_State *L, int index, const char *name, uint64_t fallback) {
  int type = push_value(L, index, name), is_whole = 0;
  int64_t value = 0;
  if (type == LUA_TNIL)
    value = (int64_t)fallback;
  else if (type == LUA_TSTRING)
    is_whole = settings_parse_bytes(lua_tostring(L, -1), &value);
  else
    value = lua_tointegerx(L, -1, &is_whole);
  if (type != LUA_TNIL && (!is_whole || value < 0))
    raise_wrong(L, name, "a number of bytes (65536 or \"20m\")");
  lua_pop(L, 1);
  return (uint64_t)value;
}

const char *options_push_shown(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TSTRING) return luaL_tolstring(L, index, NULL);
  return lua_pushfstring(L, "\"%s\"", lua_tostring(L, index));
}

lua_Integer options_integer(lua_State *L, int index, const char *name, lua_Integer fallback,
                            lua_Integer smallest, lua_Integer largest) {
  int type = push_value(L, index, name), is_whole = type == LUA_TNIL;
  lua_Integer value = fallback;
  if (type == LUA_TNUMBER) value = lua_tointegerx(L, -1, &is_whole);
  if (!is_whole || value < smallest || value > largest) {
    luaL_error(L, "option \"%s\" is a whole number from %I to %I, not %s", name,
               (LUAI_UACINT)smallest, (LUAI_UACINT)largest, options_push_shown(L, -1));
  }
  lua_pop(L, 1);
  return value;
}

mode_t options_mode(lua_State *L, int index, const char *name, mode_t fallback) {
  int type = push_value(L, index, name);
  int64_t value = fallback;
  bool is_right =
      type == LUA_TNIL || (type == LUA_TSTRING && settings_parse_mode(lua_tostring(L, -1), &value));
  if (!is_right) raise_wrong(L, name, "octal digits in a string (\"644\")");
  lua_pop(L, 1);
  return (mode_t)value;
}

struct slice options_push_text(lua_State *L, int index, const char *name) {
  struct slice text = {NULL, 0};
  int type = push_value(L, index, name);
  if (type != LUA_TNIL && type != LUA_TSTRING) raise_wrong(L, name, "a string");
  if (type == LUA_TSTRING) text.data = lua_tolstring(L, -1, &text.len);
  return text;
}

lua_Number options_check_number(lua_State *L, const char *name, const char *what, lua_Number least,
                                bool is_more) {
  lua_Number value = lua_tonumber(L, -1);
  if (lua_type(L, -1) != LUA_TNUMBER)
    luaL_error(L, "option \"%s\" is %s, not a %s", name, what, luaL_typename(L, -1));
  if (isnan(value) || value < least || (is_more && value == least))
    luaL_error(L, "option \"%s\" is %s, not %f", name, what, value);
  return value;
}
