/* named.c - a table in the registry with weak values.
 *
 * What nobody refers to is collected, and gone from the table before its finalizer runs. */
#include "lib/named.h"

static void push_table(lua_State *L, const void *key) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void *named_push(lua_State *L, const void *key, const char *name) {
  push_table(L, key);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
  return lua_touserdata(L, -1);
}

void named_add(lua_State *L, const void *key, const char *name) {
  push_table(L, key);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}
