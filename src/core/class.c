/* class.c - names of metatables, in both directions, and the two values everything needs.
 *
 * Four slots of the registry, keyed by addresses of this file, made when first asked for: the
 * metatables by name, the names by metatable (weak keys: a replaced metatable may go), the null and
 * the metatable of arrays. The slots of the latter two make their tests one lookup by address. */
#include "core/class.h"

#include <assert.h>
#include <lauxlib.h>

static const char metatables_key, names_key, null_key, array_key;

/* Pushes the table at `key` of the registry; makes it, with weak keys if `mode` says so. */
static void push_table(lua_State *L, const void *key, const char *mode) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  if (mode) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void class_register(lua_State *L, const char *name) {
  assert(lua_istable(L, -1));
  luaL_checkstack(L, 4, "class");
  int metatable = lua_gettop(L);
  lua_pushstring(L, name);
  push_table(L, &names_key, "k");
  lua_pushvalue(L, metatable);
  lua_pushvalue(L, metatable + 1);
  lua_rawset(L, -3);
  push_table(L, &metatables_key, NULL);
  lua_pushvalue(L, metatable + 1);
  lua_pushvalue(L, metatable);
  lua_rawset(L, -3);
  lua_settop(L, metatable);
}

void class_push(lua_State *L, const char *name) {
  luaL_checkstack(L, 3, "class");
  push_table(L, &metatables_key, NULL);
  lua_pushstring(L, name);
  if (lua_rawget(L, -2) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    class_register(L, name);
  }
  lua_remove(L, -2);
}

const char *class_name(lua_State *L, int index) {
  luaL_checkstack(L, 3, "class");
  if (!lua_getmetatable(L, index)) return NULL;
  const char *name = NULL;
  int found = 1;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) == LUA_TTABLE) {
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    name = lua_tostring(L, -1);
    found++;
  }
  lua_pop(L, found + 1);
  return name;
}

static int null_tostring(lua_State *L) {
  lua_pushliteral(L, "null");
  return 1;
}

void class_push_null(lua_State *L) {
  luaL_checkstack(L, 4, "class");
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key) == LUA_TUSERDATA) return;
  lua_pop(L, 1);
  lua_newuserdatauv(L, 0, 0);
  class_push(L, CLASS_NULL);
  lua_pushcfunction(L, null_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
}

bool class_is_null(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TUSERDATA) return false;
  const void *value = lua_touserdata(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key);
  bool same = value == lua_touserdata(L, -1);
  lua_pop(L, 1);
  return same;
}

void class_push_array(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  class_push(L, CLASS_ARRAY);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
}

void class_set_array(lua_State *L, int index) {
  assert(lua_istable(L, index));
  int table = lua_absindex(L, index);
  class_push_array(L);
  lua_setmetatable(L, table);
}

bool class_is_array(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
  bool same = lua_topointer(L, -1) == lua_topointer(L, -2);
  lua_pop(L, 2);
  return same;
}
