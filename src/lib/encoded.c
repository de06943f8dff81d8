/* encoded.c - a buffer in a userdata, and a blob of what it has got.
 *
 * The buffer is emptied as soon as it is done: the userdata that is left is small. */
#include "lib/encoded.h"

#include "base/buffer.h"
#include "core/transfer.h"

#include <lauxlib.h>

#define CLASS "perilune.encoded"

static int empty(lua_State *L) {
  buffer_finish(lua_touserdata(L, 1));
  return 0;
}

static struct buffer *push_buffer(lua_State *L) {
  struct buffer *buffer = lua_newuserdatauv(L, sizeof *buffer, 0);
  *buffer = (struct buffer){0};
  if (luaL_newmetatable(L, CLASS)) {
    lua_pushcfunction(L, empty);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return buffer;
}

struct blob *encoded_make(lua_State *L, int index, const char *name) {
  struct buffer *buffer = push_buffer(L);
  transfer_encode_named(L, index, name, buffer);
  struct blob *blob = blob_create(buffer->data, buffer->len);
  buffer_finish(buffer);
  lua_pop(L, 1);
  return blob;
}
