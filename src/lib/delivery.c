/* delivery.c - the counted struct behind `response.delivered`.
 *
 * In another state a response object has the answer as it was when it crossed. */
#include "lib/delivery.h"

#include "base/base.h"
#include "core/class.h"
#include "core/transfer.h"

#include <lauxlib.h>
#include <stdlib.h>

#define CLASS_DELIVERY "perilune.delivery"
#define FIELD          "delivery"

struct delivery {
  unsigned references;
  bool settled, delivered;
};

static void release(struct delivery *delivery) {
  if (delivery && --delivery->references == 0) free(delivery);
}

static int release_box(lua_State *L) {
  struct delivery **box = lua_touserdata(L, 1);
  release(*box);
  *box = NULL;
  return 0;
}

static struct delivery **push_box(lua_State *L) {
  struct delivery **box = lua_newuserdatauv(L, sizeof(struct delivery *), 0);
  *box = NULL;
  class_push(L, CLASS_DELIVERY);
  lua_setmetatable(L, -2);
  *box = memory_alloc_zero(sizeof **box);
  (*box)->references = 1;
  return box;
}

struct delivery *delivery_attach(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushliteral(L, FIELD);
  struct delivery *delivery = *push_box(L);
  delivery->references++;
  lua_pushliteral(L, "origin"); /* what it was copied from, on the way through middleware */
  if (lua_rawget(L, index) == LUA_TTABLE) {
    lua_pushliteral(L, FIELD);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
  }
  lua_pop(L, 1);
  lua_rawset(L, index);
  return delivery;
}

void delivery_settle(struct delivery *delivery, bool delivered) {
  if (!delivery) return;
  delivery->settled = true;
  delivery->delivered = delivered;
  release(delivery);
}

int delivery_read(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushliteral(L, FIELD);
  if (lua_rawget(L, 1) != LUA_TUSERDATA) return 0;
  struct delivery *const *box = lua_touserdata(L, -1);
  if (!(*box)->settled) return 0;
  lua_pushboolean(L, (*box)->delivered);
  return 1;
}

static bool encode_delivery(lua_State *L, int index, struct buffer *out) {
  struct delivery *const *box = lua_touserdata(L, index);
  buffer_add(out, *box, sizeof **box);
  return true;
}

static void decode_delivery(lua_State *L, const char *data, size_t len) {
  (void)len;
  struct delivery *delivery = *push_box(L);
  memcpy(delivery, data, sizeof *delivery);
  delivery->references = 1;
}

static const struct transfer_kind kind = {CLASS_DELIVERY, encode_delivery, decode_delivery};

void delivery_open(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, release_box);
  lua_setfield(L, -2, "__gc");
  class_register(L, CLASS_DELIVERY);
  lua_pop(L, 1);
  transfer_register(L, &kind);
}
