/* transfer_fuzz.c - any bytes as a message from another Lua state.
 *
 * A message decodes or raises kind "transfer", or there is not enough memory: the state has a
 * limit, so that no message makes it hold much more than the message has. What decodes must encode
 * again, to a message of as many values. The bytes cannot hold sealed code; where they have
 * LEAD_CODE, "code" and a digit, that of one of a few functions is put in. */
#include "base/buffer.h"
#include "core/class.h"
#include "core/code.h"
#include "core/error.h"
#include "core/function_index.h"
#include "core/transfer_format.h"
#include "fuzz.h"

#include <lauxlib.h>
#include <stdlib.h>

#define BOX_CLASS "fuzz.box"

/* What a state may allocate for one input. */
#define MEMORY_BYTES_MAX ((size_t)1024 * 1024)

struct memory {
  size_t used_bytes;
  size_t limit_bytes; /* only while something is decoded or encoded */
};

static void *allocate(void *context, void *block, size_t old_size, size_t new_size) {
  struct memory *memory = context;
  if (!block) old_size = 0;
  if (new_size == 0) {
    memory->used_bytes -= old_size;
    free(block);
    return NULL;
  }
  size_t used_bytes = memory->used_bytes - old_size + new_size;
  if (new_size > old_size && used_bytes > memory->limit_bytes) return NULL;
  void *grown = realloc(block, new_size);
  if (grown) memory->used_bytes = used_bytes;
  return grown;
}

static bool encode_box(lua_State *L, int index, struct buffer *out) {
  buffer_add(out, lua_touserdata(L, index), lua_rawlen(L, index));
  return true;
}

static void decode_box(lua_State *L, const char *data, size_t len) {
  void *box = lua_newuserdatauv(L, len, 0);
  if (len) memcpy(box, data, len);
  class_push(L, BOX_CLASS);
  lua_setmetatable(L, -2);
}

static const struct transfer_kind box_kind = {BOX_CLASS, encode_box, decode_box};

/* ---- what messages may name ---- */

static const unsigned char key[CODE_KEY_BYTES] = "fuzz";

/* Functions of no, one and several upvalues, the globals among them or not. */
static const char *const codes[] = {
    "return function(...) return ... end",
    "local a return function() return a end",
    "return function() return type end",
    "local a, b, c return function(x) a, b = b, x return a, c, type end",
    "local f return function(n) if n and n > 0 then return f(n - 1) end return f end",
};

enum { MARKER_BYTES = 6 };

/* The code that stands at `at`, or -1. */
static int find_marker(const char *at, const char *end) {
  if (end - at < MARKER_BYTES || memcmp(at + 1, "code", 4) != 0) return -1;
  int lead = (unsigned char)*at | LEAD_SHARED_BIT, number = at[5] - '0';
  bool is_one = lead == LEAD_CODE_SHARED && number >= 0 && number < (int)array_len(codes);
  return is_one ? number : -1;
}

static void add_code(lua_State *L, int number, struct buffer *out) {
  int status = luaL_dostring(L, codes[number]);
  assert(status == LUA_OK);
  (void)status;
  uint32_t len = 0;
  size_t at = out->len;
  buffer_add(out, &len, sizeof len);
  code_write(L, lua_gettop(L), out);
  len = (uint32_t)(out->len - at - sizeof len);
  memcpy(out->data + at, &len, sizeof len);
  lua_pop(L, 1);
}

/* Appends the input with code in the place of markers. */
static void add_message(lua_State *L, struct slice bytes, struct buffer *out) {
  const char *at = bytes.data, *end = bytes.data + bytes.len;
  while (at < end) {
    int number = find_marker(at, end);
    buffer_add_byte(out, *at);
    if (number >= 0) add_code(L, number, out);
    at += number >= 0 ? MARKER_BYTES : 1;
  }
}

static int l_open(lua_State *L) {
  error_open(L);
  code_open(L, key);
  transfer_register(L, &box_kind);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushglobaltable(L);
  lua_setfield(L, -2, LUA_GNAME);
  if (luaL_dostring(L, "return { Class = {}, f = function() end, inner = { Class = {} } }"))
    return lua_error(L);
  lua_setfield(L, -2, "m");
  if (luaL_dostring(L, "local app = {} app.apps = { app, {} } return app")) return lua_error(L);
  function_index_build(L, -1);
  return 0;
}

/* ---- one message ---- */

enum mode { MODE_VALUES, MODE_LOADED, MODE_ERROR };

struct message {
  struct memory *memory;
  struct slice bytes;
  struct buffer again;
  enum mode mode;
};

static int l_decode(lua_State *L) {
  struct message *message = lua_touserdata(L, 1);
  lua_settop(L, 0);
  message->memory->limit_bytes = MEMORY_BYTES_MAX;
  struct slice bytes = message->bytes;
  int count = 2;
  if (message->mode == MODE_VALUES)
    count = transfer_decode(L, bytes.data, bytes.len);
  else if (message->mode == MODE_LOADED)
    count = transfer_decode_loaded(L, bytes.data, bytes.len);
  else
    transfer_decode_error(L, bytes.data, bytes.len);
  if (count == TRANSFER_NOT_LOADED) {
    assert(lua_type(L, -1) == LUA_TSTRING);
    count = 1;
  }
  assert(lua_gettop(L) == count);
  return count;
}

static int l_encode(lua_State *L) {
  struct message *message = lua_touserdata(L, 1);
  message->memory->limit_bytes = MEMORY_BYTES_MAX;
  transfer_encode(L, 2, lua_gettop(L) - 1, "argument", &message->again);
  return 0;
}

/* Calls the function with the message and the values on the stack; what it gives replaces them. */
static bool call(lua_State *L, lua_CFunction function, struct message *message) {
  luaL_checkstack(L, LUA_MINSTACK, "fuzz");
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, message);
  lua_rotate(L, 1, 2);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  message->memory->limit_bytes = SIZE_MAX;
  if (status == LUA_OK) return true;
  if (status == LUA_ERRRUN) {
    const char *kind = error_kind(L, -1);
    assert(kind && strcmp(kind, "transfer") == 0);
  } else {
    assert(status == LUA_ERRMEM);
  }
  return false;
}

/* What has arrived can be sent on. */
static void check_again(lua_State *L, struct message *message) {
  int count = lua_gettop(L);
  if (!call(L, l_encode, message)) {
    assert(lua_type(L, -1) == LUA_TSTRING); /* no memory: nothing was refused */
    return;
  }
  struct message again = {.memory = message->memory,
                          .bytes = {message->again.data, message->again.len}};
  if (call(L, l_decode, &again)) assert(lua_gettop(L) == count);
}

/* Code of this process is whole: it can be run, whatever its upvalues are. */
static void run_functions(lua_State *L, struct memory *memory) {
  int count = lua_gettop(L);
  memory->limit_bytes = memory->used_bytes + MEMORY_BYTES_MAX;
  for (int i = 1; i <= count; i++) {
    if (!lua_isfunction(L, i)) continue;
    lua_pushvalue(L, i);
    lua_pushinteger(L, 1);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  }
  memory->limit_bytes = SIZE_MAX;
}

static void check(struct slice bytes, enum mode mode) {
  struct memory memory = {.limit_bytes = SIZE_MAX};
  struct buffer whole = {0};
  lua_State *L = lua_newstate(allocate, &memory);
  *(void **)lua_getextraspace(L) = NULL; /* it is no worker's */
  assert(L);
  lua_pushcfunction(L, l_open);
  lua_call(L, 0, 0);
  add_message(L, bytes, &whole);
  assert(lua_gettop(L) == 0);
  struct message message = {
      .memory = &memory, .bytes = {whole.data ? whole.data : "", whole.len}, .mode = mode};
  if (call(L, l_decode, &message)) {
    run_functions(L, &memory);
    check_again(L, &message);
  }
  lua_close(L);
  assert(memory.used_bytes == 0);
  buffer_finish(&message.again);
  buffer_finish(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct input input = input_of(data, len);
  struct slice bytes = input_take(&input, len);
  check(bytes, MODE_VALUES);
  check(bytes, MODE_LOADED);
  check(bytes, MODE_ERROR);
  return 0;
}
