/* shared_convert.c - numbers, booleans and strings as they are, everything else as a message.
 *
 * A box holds what comes out while Lua may raise. */
#include "lib/shared_convert.h"

#include "base/limits.h"
#include "core/transfer.h"
#include "lib/encoded.h"

#include <lauxlib.h>
#include <string.h>

/* Registry key: the metatable of boxes. */
static const char box_key = 0;

struct box {
  struct blob *blob;
};

/* User value 1: its box, which is empty unless a finalizer runs while it is used, or somebody was
 * interrupted by an error. */
struct scratch {
  struct box *box;
};

static int empty_box(lua_State *L) {
  struct box *box = lua_touserdata(L, 1);
  blob_release(box->blob);
  box->blob = NULL;
  return 0;
}

static struct box *push_box(lua_State *L) {
  struct box *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (struct box){0};
  lua_rawgetp(L, LUA_REGISTRYINDEX, &box_key);
  lua_setmetatable(L, -2);
  return box;
}

void shared_convert_push_scratch(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, empty_box);
  lua_setfield(L, -2, "__gc");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &box_key);
  struct scratch *scratch = lua_newuserdatauv(L, sizeof *scratch, 1);
  *scratch = (struct scratch){0};
}

void shared_convert_prepare(lua_State *L, int index) {
  struct scratch *scratch = lua_touserdata(L, index);
  if (LIKELY(scratch->box && !scratch->box->blob)) return;
  scratch->box = NULL;
  struct box *box = push_box(L);
  lua_setiuservalue(L, index, 1);
  scratch->box = box;
}

struct shared_key shared_convert_key(lua_State *L, int index, const struct shared_table *table) {
  if (lua_type(L, index) == LUA_TSTRING) {
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    if (len > SHARED_KEY_BYTES_MAX)
      luaL_argerror(L, index,
                    lua_pushfstring(L, "a key has at most %d bytes, this one %I",
                                    SHARED_KEY_BYTES_MAX, (LUAI_UACINT)len));
    return shared_table_key(table, text, len, 0);
  }
  int is_integer = 0;
  lua_Integer integer = 0;
  if (lua_type(L, index) == LUA_TNUMBER) integer = lua_tointegerx(L, index, &is_integer);
  if (!is_integer)
    luaL_argerror(L, index,
                  lua_pushfstring(L, "a key is a string or an integer, not %s",
                                  lua_type(L, index) == LUA_TNUMBER ? luaL_tolstring(L, index, NULL)
                                                                    : luaL_typename(L, index)));
  return shared_table_key(table, NULL, 0, integer);
}

static struct shared_value string_in(lua_State *L, int index) {
  struct shared_value value = {.type = SHARED_SHORT};
  size_t len;
  const char *text = lua_tolstring(L, index, &len);
  if (len <= SHARED_SHORT_BYTES) {
    value.len = (uint8_t)len;
    if (len > 0) memcpy(value.text, text, len);
    return value;
  }
  value.type = SHARED_STRING;
  value.blob = blob_create(text, len);
  return value;
}

struct shared_value shared_convert_in(lua_State *L, int index) {
  switch (lua_type(L, index)) {
  case LUA_TNONE:
  case LUA_TNIL:
    return (struct shared_value){.type = SHARED_NIL};
  case LUA_TBOOLEAN:
    return (struct shared_value){.type = lua_toboolean(L, index) ? SHARED_TRUE : SHARED_FALSE};
  case LUA_TNUMBER:
    if (lua_isinteger(L, index))
      return (struct shared_value){.type = SHARED_INTEGER, .integer = lua_tointeger(L, index)};
    return (struct shared_value){.type = SHARED_FLOAT, .number = lua_tonumber(L, index)};
  case LUA_TSTRING:
    return string_in(L, index);
  default:
    return (struct shared_value){.type = SHARED_MESSAGE, .blob = encoded_make(L, index, "value")};
  }
}

static bool blob_out(lua_State *L, int index, const struct shared_value *value) {
  lua_getiuservalue(L, index, 1);
  struct box *box = lua_touserdata(L, -1);
  struct blob *blob = box->blob = value->blob;
  bool is_out = true;
  if (value->type == SHARED_STRING)
    lua_pushlstring(L, blob->data, blob->len);
  else
    is_out = transfer_decode_loaded(L, blob->data, blob->len) != TRANSFER_NOT_LOADED;
  box->blob = NULL;
  blob_release(blob);
  lua_remove(L, -2);
  return is_out;
}

bool shared_convert_out(lua_State *L, int index, const struct shared_value *value) {
  switch ((enum shared_type)value->type) {
  case SHARED_NIL:
    lua_pushnil(L);
    return true;
  case SHARED_FALSE:
  case SHARED_TRUE:
    lua_pushboolean(L, value->type == SHARED_TRUE);
    return true;
  case SHARED_INTEGER:
    lua_pushinteger(L, value->integer);
    return true;
  case SHARED_FLOAT:
    lua_pushnumber(L, value->number);
    return true;
  case SHARED_SHORT:
    lua_pushlstring(L, value->text, value->len);
    return true;
  case SHARED_STRING:
  case SHARED_MESSAGE:
    return blob_out(L, index, value);
  }
  return true;
}
