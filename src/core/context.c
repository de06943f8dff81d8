/* context.c - contexts as references in the registry, copied when written.
 *
 * Two fibers that share a table have a reference each. The copy is shallow: tables in a context are
 * the same ones in every fiber of one state. */
#include "core/context.h"

#include "core/fiber.h"
#include "core/transfer.h"
#include "core/worker.h"

#include <lauxlib.h>
#include <string.h>

enum { CONTEXT_NONE = 0 }; /* no reference that luaL_ref gives */

int context_share(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  if (!fiber || fiber->context == CONTEXT_NONE) return CONTEXT_NONE;
  fiber->context_shared = true;
  lua_rawgeti(L, LUA_REGISTRYINDEX, fiber->context);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

void context_give(struct fiber *fiber, int context) {
  fiber->context = context;
  fiber->context_shared = context != CONTEXT_NONE;
}

void context_unshare(lua_State *L, int context) {
  if (context != CONTEXT_NONE) luaL_unref(L, LUA_REGISTRYINDEX, context);
}

bool context_push(lua_State *L) {
  const struct fiber *fiber = fiber_running(L);
  if (!fiber || fiber->context == CONTEXT_NONE) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, fiber->context);
  return true;
}

void context_push_own(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  luaL_checkstack(L, 5, "context");
  bool exists = context_push(L);
  if (exists && !fiber->context_shared) return;
  lua_newtable(L);
  if (exists) {
    for (lua_pushnil(L); lua_next(L, -3);) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -4);
    }
    lua_remove(L, -2);
  }
  lua_pushvalue(L, -1);
  int context = luaL_ref(L, LUA_REGISTRYINDEX);
  context_drop(fiber);
  fiber->context = context;
}

void context_drop(struct fiber *fiber) {
  context_unshare(fiber->worker->L, fiber->context);
  fiber->context = CONTEXT_NONE;
  fiber->context_shared = false;
}

void context_write(lua_State *L, struct buffer *out) {
  uint32_t len = 0;
  size_t start = out->len;
  buffer_add(out, &len, sizeof len);
  if (!context_push(L)) return;
  transfer_encode_named(L, lua_gettop(L), "context", out);
  lua_pop(L, 1);
  len = (uint32_t)(out->len - start - sizeof len);
  memcpy(out->data + start, &len, sizeof len);
}

size_t context_read(lua_State *L, const char *data) {
  uint32_t len;
  memcpy(&len, data, sizeof len);
  if (len == 0) return sizeof len;
  transfer_decode(L, data + sizeof len, len);
  context_drop(fiber_running(L));
  context_give(fiber_running(L), luaL_ref(L, LUA_REGISTRYINDEX));
  fiber_running(L)->context_shared = false;
  return sizeof len + len;
}
