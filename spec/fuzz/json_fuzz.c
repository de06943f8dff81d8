/* json_fuzz.c - any bytes as JSON text.
 *
 * Two readers, the fast parser and the slow one that looks for faults, must agree on what is JSON.
 * What decodes must encode, and the text of that must decode to an equal value whose text has the
 * same length (the order of members may differ). */
#include "base/buffer.h"
#include "core/class.h"
#include "core/error.h"
#include "fuzz.h"
#include "lib/json_decode.h"
#include "lib/json_encode.h"
#include "lib/json_fault.h"

#include <lauxlib.h>
#include <stdlib.h>

struct round {
  struct slice text;
  unsigned flags;
  struct buffer first, second; /* the texts that were encoded */
};

static size_t count_members(lua_State *L, int table) {
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) count++;
  return count;
}

static bool is_equal(lua_State *L, int left, int right) {
  luaL_checkstack(L, LUA_MINSTACK, "fuzz");
  if (lua_type(L, left) != LUA_TTABLE || lua_type(L, right) != LUA_TTABLE)
    return lua_rawequal(L, left, right) && lua_isinteger(L, left) == lua_isinteger(L, right);
  if (class_is_array(L, left) != class_is_array(L, right)) return false;
  if (count_members(L, left) != count_members(L, right)) return false;
  for (lua_pushnil(L); lua_next(L, left); lua_pop(L, 2)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, right);
    int top = lua_gettop(L);
    if (!is_equal(L, top - 1, top)) return false;
  }
  return true;
}

static int l_round(lua_State *L) {
  struct round *round = lua_touserdata(L, 1);
  struct json_fault fault;
  struct slice text = round->text;
  bool decoded = json_try_decode(L, text.data, text.len, round->flags);
  assert(lua_gettop(L) == 2);
  assert(json_fault_find(text.data, text.len, &fault) == !decoded);
  if (!decoded) {
    assert(lua_isstring(L, -1) && fault.byte >= 1 && fault.byte <= text.len + 1);
    return 0;
  }
  json_encode(L, 2, &round->first);
  decoded = json_try_decode(L, round->first.data, round->first.len, round->flags);
  assert(decoded && is_equal(L, 2, 3));
  json_encode(L, 3, &round->second);
  assert(round->first.len == round->second.len);
  return 0;
}

static void check(lua_State *L, struct slice text, unsigned flags) {
  struct round round = {.text = text, .flags = flags};
  lua_pushcfunction(L, l_round);
  lua_pushlightuserdata(L, &round);
  int status = lua_pcall(L, 1, 0, 0);
  assert(status == LUA_OK);
  (void)status;
  buffer_finish(&round.first);
  buffer_finish(&round.second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct input input = input_of(data, len);
  struct slice text = input_take(&input, len);
  lua_State *L = luaL_newstate();
  assert(L);
  error_open(L);
  check(L, text, 0);
  check(L, text, JSON_KEEP_NULL);
  lua_close(L);
  return 0;
}
