/* transfer.c - which values beyond plain data a Lua state knows how to send and receive.
 *
 * The kinds stand in a table in the registry, name to address of the (constant) struct. The bytes
 * are written in transfer_encode*.c and read in transfer_decode*.c. */
#include "core/code.h"
#include "core/transfer_format.h"

#include <assert.h>

/* Its address is the key in the registry. */
static const char kinds_key = 'k';

void transfer_register(lua_State *L, const struct transfer_kind *kind) {
  assert(kind->name && kind->encode && kind->decode);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kinds_key) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kinds_key);
  }
  lua_pushlightuserdata(L, (void *)(uintptr_t)kind);
  lua_setfield(L, -2, kind->name);
  lua_pop(L, 1);
}

const struct transfer_kind *transfer_kind_find(lua_State *L, const char *name) {
  const struct transfer_kind *kind = NULL;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kinds_key) == LUA_TTABLE) {
    lua_getfield(L, -1, name);
    kind = lua_touserdata(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return kind;
}

uint64_t transfer_fingerprint(lua_State *L, int index) {
  if (lua_iscfunction(L, index)) return (uint64_t)(uintptr_t)lua_tocfunction(L, index);
  return lua_isfunction(L, index) ? code_hash(L, index) : 0;
}
