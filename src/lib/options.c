/* options.c - option names and the nearest known one.
 *
 * Nearest is by edit distance: insertions, deletions and replacements of one byte. Only the first
 * OPTION_NAME_MAX bytes of a name count, which bounds the work for whatever was passed. */
#include "lib/options.h"

#include "core/timer.h"

#include <assert.h>
#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
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
