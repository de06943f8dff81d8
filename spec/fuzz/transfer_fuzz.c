/* transfer_fuzz.c - any bytes as a message from another Lua state.
 *
 * A message decodes or raises kind "transfer", or there is not enough memory: the state has a
 * limit, so that no message makes it hold much more than the message has. What decodes must encode
 * again, to a message of as many values. */
#include "base/buffer.h"
#include "core/class.h"
#include "core/error.h"
#include "core/transfer.h"
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

static bool encode_function(lua_State *L, int index, struct buffer *out) {
  (void)index;
  (void)out;
  return L != NULL;
}

static int l_nothing(lua_State *L) {
  (void)L;
  return 0;
}

static void decode_function(lua_State *L, const char *data, size_t len) {
  (void)data;
  if (len > 0) error_raise(L, "transfer", "no such function");
  lua_pushcfunction(L, l_nothing);
}

static const struct transfer_kind box_kind = {BOX_CLASS, encode_box, decode_box};
static const struct transfer_kind function_kind = {TRANSFER_FUNCTION, encode_function,
                                                   decode_function};

struct message {
  struct memory *memory;
  struct slice bytes;
  struct buffer again;
  bool is_error;
};

static int l_decode(lua_State *L) {
  struct message *message = lua_touserdata(L, 1);
  lua_settop(L, 0);
  message->memory->limit_bytes = MEMORY_BYTES_MAX;
  if (message->is_error) {
    transfer_decode_error(L, message->bytes.data, message->bytes.len);
    assert(lua_gettop(L) == 2);
    return 2;
  }
  int count = transfer_decode(L, message->bytes.data, message->bytes.len);
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

static void check(struct slice bytes, bool is_error) {
  struct memory memory = {.limit_bytes = SIZE_MAX};
  struct message message = {.memory = &memory, .bytes = bytes, .is_error = is_error};
  lua_State *L = lua_newstate(allocate, &memory);
  assert(L);
  error_open(L);
  transfer_register(L, &box_kind);
  transfer_register(L, &function_kind);
  assert(lua_gettop(L) == 0);
  if (call(L, l_decode, &message)) check_again(L, &message);
  lua_close(L);
  assert(memory.used_bytes == 0);
  buffer_finish(&message.again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct input input = input_of(data, len);
  struct slice bytes = input_take(&input, len);
  check(bytes, false);
  check(bytes, true);
  return 0;
}
