/* backoff.c - reading the option table, and the arithmetic of the waits.
 *
 * The random part comes from the system, so that clients which failed together do not come back
 * together. */
#include "lib/backoff.h"

#include "core/fiber.h"
#include "lib/options.h"

#include <lauxlib.h>
#include <math.h>
#include <stdint.h>
#include <sys/random.h>

/* Beyond it a wait is as good as for ever: 100 years in seconds. */
static const lua_Number seconds_max = 3.2e9;

struct backoff backoff_default(void) {
  return (struct backoff){.initial_s = 1, .factor = 2, .max_s = 60, .jitter = true};
}

/* Reads a field of the table on top of the stack; nil: what is there stays. */
static void read_number(lua_State *L, const char *name, const char *full_name, lua_Number least,
                        lua_Number *field) {
  if (lua_getfield(L, -1, name) != LUA_TNIL) {
    const char *what = least > 0 ? "a number of at least 1" : "a number of seconds, 0 or more";
    *field = options_check_number(L, full_name, what, least, false);
  }
  lua_pop(L, 1);
}

void backoff_read(lua_State *L, struct backoff *backoff) {
  static const char *const names[] = {"initial", "factor", "max", "jitter", NULL};
  if (!lua_istable(L, -1))
    luaL_error(L, "option \"backoff\" is a table { initial=, factor=, max=, jitter= }, not a %s",
               luaL_typename(L, -1));
  options_check(L, lua_gettop(L), names);
  read_number(L, "initial", "backoff.initial", 0, &backoff->initial_s);
  read_number(L, "factor", "backoff.factor", 1, &backoff->factor);
  read_number(L, "max", "backoff.max", 0, &backoff->max_s);
  if (lua_getfield(L, -1, "jitter") != LUA_TNIL) {
    if (!lua_isboolean(L, -1))
      luaL_error(L, "option \"backoff.jitter\" is true or false, not a %s", luaL_typename(L, -1));
    backoff->jitter = lua_toboolean(L, -1);
  }
  lua_pop(L, 1);
}

/* A number from 0.5 to 1; on a clock that is moved by hand always 1. */
static lua_Number choose_jitter(const struct fiber *fiber) {
  uint32_t number = UINT32_MAX;
  if (timers_is_manual(fiber->timers)) return 1;
  if (getrandom(&number, sizeof number, 0) < 0) number = UINT32_MAX;
  return 0.5 + 0.5 * ((lua_Number)number / (lua_Number)UINT32_MAX);
}

lua_Number backoff_wait(const struct backoff *backoff, const struct fiber *fiber,
                        lua_Integer attempt) {
  if (backoff->initial_s == 0) return 0;
  lua_Number wait_s = backoff->initial_s * pow(backoff->factor, (lua_Number)(attempt - 1));
  wait_s = fmin(backoff->max_s, wait_s);
  if (backoff->jitter) wait_s *= choose_jitter(fiber);
  return fmin(wait_s, seconds_max);
}
