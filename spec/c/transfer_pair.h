/* transfer_pair.h - two Lua states and a buffer, for the specs of core/transfer.
 *
 * The states have an allocator that counts, has a limit, and can be told to fail from the n-th
 * request on. Both know `null`, `array(t)`, `class(name, t)`, `box(n)` (a userdata that may be
 * sent unless n < 0), `homeless()` (a function in C of no module), `module_note(name)` and
 * `describe(...)` (a canonical text of values, sharing included). They have no app: neither marks
 * nor an index. */
#ifndef SPEC_TRANSFER_PAIR_H
#define SPEC_TRANSFER_PAIR_H

#include "core/class.h"
#include "core/code.h"
#include "core/error.h"
#include "core/module.h"
#include "core/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

struct tally {
  size_t used_bytes, max_bytes;
  size_t limit_bytes; /* 0: none */
  bool failing;
  long left; /* requests that succeed while it is failing */
};

struct pair {
  struct tally memory[2];
  lua_State *from, *to;
  struct buffer buffer;
};

static const char prelude[] =
    "local function scalar(v)\n"
    "  if v == null then return 'null' end\n"
    "  local kind = math.type(v) or type(v)\n"
    "  if kind == 'float' then return v ~= v and 'nan' or ('%a'):format(v) end\n"
    "  if kind == 'string' then return ('%q'):format(v) end\n"
    "  if kind == 'userdata' then return 'box ' .. unbox(v) end\n"
    "  return kind .. ' ' .. tostring(v)\n"
    "end\n"
    "local add\n"
    "local function add_table(out, seen, t)\n"
    "  if seen[t] then out[#out + 1] = '#' .. seen[t] return end\n"
    "  seen.n = seen.n + 1\n"
    "  seen[t] = seen.n\n"
    "  local meta = getmetatable(t)\n"
    "  out[#out + 1] = (meta and meta.__name or '') .. '{'\n"
    "  local keys, tables = {}, {}\n"
    "  for k in next, t do\n"
    "    if type(k) == 'table' then tables[#tables + 1] = k else keys[#keys + 1] = k end\n"
    "  end\n"
    "  table.sort(keys, function(a, b) return scalar(a) < scalar(b) end)\n"
    "  for _, k in ipairs(keys) do\n"
    "    out[#out + 1] = scalar(k) .. '='\n"
    "    add(out, seen, rawget(t, k))\n"
    "  end\n"
    "  for _, k in ipairs(tables) do add(out, seen, k) add(out, seen, t[k]) end\n"
    "  out[#out + 1] = '}'\n"
    "end\n"
    "local function add_function(out, seen, f)\n"
    "  if seen[f] then out[#out + 1] = '#' .. seen[f] return end\n"
    "  seen.n = seen.n + 1\n"
    "  seen[f] = seen.n\n"
    "  out[#out + 1] = 'f' .. debug.getinfo(f, 'S').linedefined .. '{'\n"
    "  for i = 1, debug.getinfo(f, 'u').nups do\n"
    "    local name, value = debug.getupvalue(f, i)\n"
    "    local id = debug.upvalueid(f, i)\n"
    "    out[#out + 1] = name .. (seen[id] and '~' .. seen[id] or '=')\n"
    "    if not seen[id] then\n"
    "      seen.n = seen.n + 1\n"
    "      seen[id] = seen.n\n"
    "      if value ~= _G then add(out, seen, value) end\n"
    "    end\n"
    "  end\n"
    "  out[#out + 1] = '}'\n"
    "end\n"
    "function add(out, seen, v)\n"
    "  if type(v) == 'table' then return add_table(out, seen, v) end\n"
    "  if type(v) == 'function' and debug.getinfo(v, 'S').what ~= 'C' then\n"
    "    return add_function(out, seen, v) end\n"
    "  out[#out + 1] = scalar(v)\n"
    "end\n"
    "function describe(...)\n"
    "  local out, seen = {}, { n = 0 }\n"
    "  for i = 1, select('#', ...) do add(out, seen, (select(i, ...))) end\n"
    "  return table.concat(out, ' ')\n"
    "end\n";

static void *tally_allocate(void *context, void *block, size_t old_size, size_t new_size) {
  struct tally *tally = context;
  if (!block) old_size = 0;
  if (new_size == 0) {
    tally->used_bytes -= old_size;
    free(block);
    return NULL;
  }
  size_t used = tally->used_bytes - old_size + new_size;
  if (new_size > old_size) {
    if (tally->failing && tally->left-- <= 0) return NULL;
    if (tally->limit_bytes && used > tally->limit_bytes) return NULL;
  }
  void *grown = realloc(block, new_size);
  if (!grown) return NULL;
  tally->used_bytes = used;
  if (used > tally->max_bytes) tally->max_bytes = used;
  return grown;
}

static int l_array(lua_State *L) {
  lua_settop(L, 1);
  class_set_array(L, 1);
  return 1;
}

static int l_class(lua_State *L) {
  class_push(L, luaL_checkstring(L, 1));
  lua_setmetatable(L, 2);
  return 1;
}

static int l_box(lua_State *L) {
  *(lua_Integer *)lua_newuserdatauv(L, sizeof(lua_Integer), 0) = luaL_checkinteger(L, 1);
  class_push(L, "spec.box");
  lua_setmetatable(L, -2);
  return 1;
}

static int l_unbox(lua_State *L) {
  lua_pushinteger(L, *(lua_Integer *)lua_touserdata(L, 1));
  return 1;
}

static bool encode_box(lua_State *L, int index, struct buffer *out) {
  lua_Integer number = *(lua_Integer *)lua_touserdata(L, index);
  buffer_add(out, &number, sizeof number);
  return number >= 0;
}

static void decode_box(lua_State *L, const char *data, size_t len) {
  lua_Integer number;
  if (len != sizeof number) error_raise(L, "transfer", "no box");
  memcpy(&number, data, len);
  lua_pushcfunction(L, l_box);
  lua_pushinteger(L, number);
  lua_call(L, 1, 1);
}

static const struct transfer_kind box_kind = {"spec.box", encode_box, decode_box};
/* Both states are of one process. */
static const unsigned char pair_key[CODE_KEY_BYTES] = "spec";

static int l_module_note(lua_State *L) {
  module_note(L, luaL_checkstring(L, 1));
  return 0;
}

static int l_nothing(lua_State *L) {
  (void)L;
  return 0;
}

static int l_homeless(lua_State *L) {
  lua_pushcfunction(L, l_nothing);
  return 1;
}

static lua_State *pair_state(struct tally *tally) {
  static const luaL_Reg functions[] = {
      {"array", l_array}, {"class", l_class},       {"box", l_box},
      {"unbox", l_unbox}, {"homeless", l_homeless}, {"module_note", l_module_note},
      {NULL, NULL}};
  lua_State *L = lua_newstate(tally_allocate, tally);
  assert_non_null(L);
  *(void **)lua_getextraspace(L) = NULL; /* it is no worker's */
  luaL_openlibs(L);
  error_open(L);
  code_open(L, pair_key);
  class_push_null(L);
  lua_setglobal(L, "null");
  lua_pushglobaltable(L);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
  assert_int_equal(luaL_dostring(L, prelude), LUA_OK);
  transfer_register(L, &box_kind);
  module_note_all(L); /* as when an app has loaded */
  assert_int_equal(lua_gettop(L), 0);
  return L;
}

static int pair_setup(void **state) {
  struct pair *pair = memory_alloc_zero(sizeof *pair);
  pair->from = pair_state(&pair->memory[0]);
  pair->to = pair_state(&pair->memory[1]);
  *state = pair;
  return 0;
}

static int pair_teardown(void **state) {
  struct pair *pair = *state;
  lua_close(pair->from);
  lua_close(pair->to);
  assert_int_equal(pair->memory[0].used_bytes, 0);
  assert_int_equal(pair->memory[1].used_bytes, 0);
  buffer_finish(&pair->buffer);
  free(pair);
  return 0;
}

static int l_encode(lua_State *L) {
  int count = lua_gettop(L);
  struct pair *pair = lua_touserdata(L, lua_upvalueindex(1));
  transfer_encode(L, 1, count, "argument", &pair->buffer);
  assert_int_equal(lua_gettop(L), count);
  return 0;
}

static int l_decode(lua_State *L) {
  const struct slice *message = lua_touserdata(L, lua_upvalueindex(1));
  int count = transfer_decode(L, message->data, message->len);
  assert_int_equal(lua_gettop(L), count);
  return count;
}

/* Runs a chunk; its results are on the stack of `L`. */
static inline void pair_run(lua_State *L, const char *code) {
  if (luaL_dostring(L, code)) fail_msg("%s: %s", code, lua_tostring(L, -1));
}

/* Replaces the values on the stack of `from` by the message made of them; gives Lua's status, the
 * error is on the stack. */
static inline int pair_encode(struct pair *pair) {
  pair->buffer.len = 0;
  lua_pushlightuserdata(pair->from, pair);
  lua_pushcclosure(pair->from, l_encode, 1);
  lua_insert(pair->from, 1);
  return lua_pcall(pair->from, lua_gettop(pair->from) - 1, 0, 0);
}

/* Replaces the stack of `to` by the values of a message, or by an error. */
static inline int pair_decode(struct pair *pair, const char *data, size_t len) {
  struct slice message = {.data = data, .len = len};
  lua_settop(pair->to, 0);
  lua_pushlightuserdata(pair->to, &message);
  lua_pushcclosure(pair->to, l_decode, 1);
  return lua_pcall(pair->to, 0, LUA_MULTRET, 0);
}

/* Sends what the chunk `code` gives to `to`, where it is left on the stack. */
static inline void pair_send(struct pair *pair, const char *code) {
  lua_settop(pair->from, 0);
  pair_run(pair->from, code);
  if (pair_encode(pair)) fail_msg("%s: %s", code, luaL_tolstring(pair->from, -1, NULL));
  char *exact = memory_copy(pair->buffer.data, pair->buffer.len);
  exact = memory_resize(exact, pair->buffer.len); /* reading past it is seen */
  int status = pair_decode(pair, exact, pair->buffer.len);
  free(exact);
  if (status) fail_msg("%s: %s", code, luaL_tolstring(pair->to, -1, NULL));
}

/* What the chunk `code` makes in one state the chunk `check` gets as `...` in the other, and gives
 * whether it is right. */
static inline void assert_crosses(struct pair *pair, const char *code, const char *check) {
  pair_send(pair, code);
  lua_State *L = pair->to;
  if (luaL_loadstring(L, check)) fail_msg("%s", lua_tostring(L, -1));
  lua_insert(L, 1);
  if (lua_pcall(L, lua_gettop(L) - 1, 1, 0)) fail_msg("%s: %s", check, lua_tostring(L, -1));
  if (!lua_toboolean(L, -1)) fail_msg("%s does not give %s", code, check);
  lua_settop(L, 0);
}

/* The error on top of the stack, which is emptied. */
static inline void assert_transfer_error(lua_State *L, const char *message) {
  const char *kind = error_kind(L, -1);
  assert_non_null(kind);
  assert_string_equal(kind, "transfer");
  assert_string_equal(luaL_tolstring(L, -1, NULL), message);
  lua_settop(L, 0);
}

/* What the chunk makes cannot be sent. */
static inline void assert_refused(struct pair *pair, const char *code, const char *message) {
  lua_settop(pair->from, 0);
  pair_run(pair->from, code);
  assert_int_equal(pair_encode(pair), LUA_ERRRUN);
  assert_transfer_error(pair->from, message);
}

/* What the chunk makes in one state cannot be received in the other. */
static inline void assert_not_received(struct pair *pair, const char *code, const char *message) {
  lua_settop(pair->from, 0);
  pair_run(pair->from, code);
  if (pair_encode(pair)) fail_msg("%s: %s", code, luaL_tolstring(pair->from, -1, NULL));
  assert_int_equal(pair_decode(pair, pair->buffer.data, pair->buffer.len), LUA_ERRRUN);
  assert_transfer_error(pair->to, message);
}

/* Sends the error that `code` gives, with a traceback, and checks the two values that arrive. */
static inline void assert_error_crosses(struct pair *pair, const char *code, const char *traceback,
                                        const char *check) {
  lua_State *L = pair->to;
  lua_settop(pair->from, 0);
  lua_settop(L, 0);
  pair_run(pair->from, code);
  buffer_clear(&pair->buffer);
  transfer_encode_error(pair->from, -1, traceback, &pair->buffer);
  assert_int_equal(lua_gettop(pair->from), 1);
  assert_int_equal(luaL_loadstring(L, check), LUA_OK);
  transfer_decode_error(L, pair->buffer.data, pair->buffer.len);
  assert_int_equal(lua_gettop(L), 3);
  if (lua_pcall(L, 2, 1, 0)) fail_msg("%s: %s", check, lua_tostring(L, -1));
  if (!lua_toboolean(L, -1)) fail_msg("%s does not give %s", code, check);
}

#endif
