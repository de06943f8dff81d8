/* function_index.c - the walk through a loaded app, and what it finds.
 *
 * It stops at the globals and at modules outside of the app, whose functions have paths
 * (core/module.h), and at large tables, which are data. Made when the load ends and at no other
 * time: later there may be closures of the same lines that are not the ones of the load. */
#include "core/function_index.h"

#include "base/base.h"
#include "base/limits.h"
#include "core/code.h"
#include "core/error.h"
#include "core/instance.h"
#include "core/module.h"
#include "core/place.h"

#include <lauxlib.h>
#include <limits.h>

/* Keys of tables of the instance: function -> identity; identity -> function, or false for several;
 * app -> number, and number -> app. */
static const char identities_key = 0;
static const char functions_key = 0;
static const char apps_key = 0;

struct walk {
  lua_State *L;
  int seen, queue; /* tables on the stack */
  int identities, functions;
  lua_Integer waiting; /* in the queue */
};

/* ---- the walk ---- */

/* Pops a value; one that may lead to functions is walked later. */
static void add(struct walk *walk) {
  int type = lua_type(walk->L, -1);
  if (type == LUA_TTABLE || type == LUA_TFUNCTION)
    lua_rawseti(walk->L, walk->queue, ++walk->waiting);
  else
    lua_pop(walk->L, 1);
}

/* Takes a value out of the queue; gives false when it was walked before. */
static bool take(struct walk *walk) {
  lua_State *L = walk->L;
  lua_rawgeti(L, walk->queue, walk->waiting--);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, walk->seen) != LUA_TNIL) {
    lua_pop(L, 2);
    return false;
  }
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  lua_pushboolean(L, 1);
  lua_rawset(L, walk->seen);
  return true;
}

/* All entries of the table on top, or, when they are too many, none. */
static void add_entries(struct walk *walk, int entries_max) {
  lua_State *L = walk->L;
  lua_Integer before = walk->waiting;
  int count = 0;
  for (lua_pushnil(L); lua_next(L, -2);) {
    add(walk);
    lua_pushvalue(L, -1);
    add(walk);
    if (++count <= entries_max) continue;
    lua_pop(L, 1);
    walk->waiting = before;
    return;
  }
}

static bool is_outside(lua_State *L, int table) {
  const char *name = module_name(L, table);
  return name && !instance_has_module(L, name);
}

static bool is_of_file(lua_State *L, int function) {
  lua_Debug debug;
  lua_pushvalue(L, function);
  lua_getinfo(L, ">S", &debug);
  return *debug.source == '@';
}

/* Notes the Lua function on top; one of an identity that is there already makes it ambiguous. */
static void note_function(struct walk *walk) {
  lua_State *L = walk->L;
  lua_Integer identity = (lua_Integer)code_hash(L, -1);
  lua_pushvalue(L, -1);
  lua_pushinteger(L, identity);
  lua_rawset(L, walk->identities);
  if (lua_rawgeti(L, walk->functions, identity) == LUA_TNIL)
    lua_pushvalue(L, -2);
  else
    lua_pushboolean(L, 0);
  lua_rawseti(L, walk->functions, identity);
  lua_pop(L, 1);
}

static void visit_function(struct walk *walk) {
  lua_State *L = walk->L;
  if (module_has(L, -1)) return;
  if (!lua_iscfunction(L, -1) && is_of_file(L, -1)) note_function(walk);
  for (int i = 1; lua_getupvalue(L, -1, i); i++) add(walk);
}

static void walk_all(struct walk *walk) {
  lua_State *L = walk->L;
  while (walk->waiting > 0) {
    if (!take(walk)) continue;
    if (lua_isfunction(L, -1))
      visit_function(walk);
    else if (!is_outside(L, -1))
      add_entries(walk, INDEX_ENTRIES_MAX);
    lua_pop(L, 1);
  }
}

/* ---- where it begins ---- */

/* Pops a list, however long; each of its entries is walked. */
static void add_list(struct walk *walk) {
  if (lua_istable(walk->L, -1)) add_entries(walk, INT_MAX);
  lua_pop(walk->L, 1);
}

/* Functions only: what else is there belongs to nobody. */
static void add_globals(struct walk *walk) {
  lua_State *L = walk->L;
  lua_pushglobaltable(L);
  for (lua_pushnil(L); lua_next(L, -2);) {
    if (lua_isfunction(L, -1))
      add(walk);
    else
      lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void add_app_modules(struct walk *walk) {
  lua_State *L = walk->L;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_next(L, -2);) {
    if (lua_type(L, -2) == LUA_TSTRING && instance_has_module(L, lua_tostring(L, -2)))
      add(walk);
    else
      lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Pushes a table of the app at `app` and those mounted in it. */
static void push_apps(lua_State *L, int app) {
  lua_newtable(L);
  int apps = lua_gettop(L);
  lua_getfield(L, app, "apps");
  lua_Integer count = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, apps + 1, i);
    lua_pushvalue(L, -1);
    lua_rawseti(L, apps, i);
    lua_pushinteger(L, i);
    lua_rawset(L, apps);
  }
  lua_pop(L, 1);
}

void function_index_build(lua_State *L, int index) {
  luaL_checkstack(L, LUA_MINSTACK, "function index");
  int top = lua_gettop(L);
  int app = lua_absindex(L, index);
  module_note_all(L);
  push_apps(L, app);
  for (int i = 0; i < 4; i++) lua_newtable(L);
  struct walk walk = {
      .L = L, .identities = top + 2, .functions = top + 3, .seen = top + 4, .queue = top + 5};
  lua_pushvalue(L, app);
  add_list(&walk);
  lua_getfield(L, app, "routes");
  add_list(&walk);
  add_app_modules(&walk);
  add_globals(&walk);
  place_push_marks(L);
  add_list(&walk);
  walk_all(&walk);
  lua_settop(L, walk.functions);
  instance_set_table(L, &functions_key);
  instance_set_table(L, &identities_key);
  instance_set_table(L, &apps_key);
}

/* ---- asking ---- */

bool function_index_find(lua_State *L, int index, uint64_t *identity) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 4, "function index");
  int top = lua_gettop(L);
  bool is_only_one = false;
  if (instance_find_table(L, &identities_key)) {
    lua_pushvalue(L, index);
    if (lua_rawget(L, -2) == LUA_TNUMBER) {
      *identity = (uint64_t)lua_tointeger(L, -1);
      instance_find_table(L, &functions_key);
      lua_rawgeti(L, -1, (lua_Integer)*identity);
      is_only_one = lua_rawequal(L, -1, index);
    }
  }
  lua_settop(L, top);
  return is_only_one;
}

void function_index_push(lua_State *L, uint64_t identity, const char *title) {
  luaL_checkstack(L, 4, "function index");
  int type = LUA_TNIL;
  if (instance_find_table(L, &functions_key)) type = lua_rawgeti(L, -1, (lua_Integer)identity);
  if (type == LUA_TBOOLEAN)
    error_raise(L, "transfer",
                "this Lua state has made several functions of %s, and the one that was sent could "
                "be any of them",
                title);
  if (type != LUA_TFUNCTION)
    error_raise(L, "transfer",
                "this Lua state has no function %s: it was made in one state only, or the states "
                "loaded different code",
                title);
  lua_remove(L, -2);
}

lua_Integer function_index_find_app(lua_State *L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 4, "function index");
  int top = lua_gettop(L);
  lua_Integer number = 0;
  if (instance_find_table(L, &apps_key)) {
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    number = lua_tointeger(L, -1);
  }
  lua_settop(L, top);
  return number;
}

void function_index_push_app(lua_State *L, lua_Integer number) {
  luaL_checkstack(L, 4, "function index");
  int type = LUA_TNIL;
  if (instance_find_table(L, &apps_key)) type = lua_rawgeti(L, -1, number);
  if (type != LUA_TTABLE) error_raise(L, "transfer", "no app is loaded in this Lua state");
  lua_remove(L, -2);
}
