/* module.c - two maps from values to names of modules, and back by package.loaded.
 *
 * The maps have weak keys: a module that is unloaded may go. They say where to look; a value is a
 * module, or in one, only if it is found there. */
#include "core/module.h"

#include "base/limits.h"
#include "core/error.h"
#include "core/instance.h"

#include <lauxlib.h>
#include <string.h>

/* Registry keys: module -> its name, or true for what stands for the globals; what is in modules ->
 * the name of the module. */
static const char names_key = 0;
static const char members_key = 0;

/* ---- the maps ---- */

static void push_loaded(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}

static void push_new_map(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

/* Keeps the map on top, which is complete. */
static void set_map(lua_State *L, const void *key) {
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/* Sets map[value] to the string at `name`. */
static void note(lua_State *L, int map, int value, int name) {
  lua_pushvalue(L, value);
  lua_pushvalue(L, name);
  lua_rawset(L, map);
}

static bool is_module_type(lua_State *L, int index) {
  return lua_istable(L, index) || lua_isfunction(L, index);
}

/* A key of a table that can be part of a path. */
static bool is_field(lua_State *L, int index) {
  size_t len;
  if (lua_type(L, index) != LUA_TSTRING) return false;
  const char *text = lua_tolstring(L, index, &len);
  return strlen(text) == len;
}

static void note_names(lua_State *L, int names) {
  push_loaded(L);
  int loaded = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, loaded); lua_pop(L, 1))
    if (is_field(L, -2) && is_module_type(L, -1)) note(L, names, loaded + 2, loaded + 1);
  lua_pop(L, 1);
}

void module_push_names(lua_State *L) {
  luaL_checkstack(L, 8, "module");
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  push_new_map(L);
  note_names(L, lua_gettop(L));
  set_map(L, &names_key);
}

void module_set_environment(lua_State *L, int index) {
  index = lua_absindex(L, index);
  module_push_names(L);
  lua_pushvalue(L, index);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

const char *module_name(lua_State *L, int index) {
  index = lua_absindex(L, index);
  module_push_names(L);
  lua_pushvalue(L, index);
  int type = lua_rawget(L, -2);
  const char *name = lua_tostring(L, -1);
  lua_pop(L, 2);
  if (LIKELY(type == LUA_TNIL)) return NULL;
  if (type == LUA_TBOOLEAN) return LUA_GNAME;
  push_loaded(L);
  lua_getfield(L, -1, name);
  bool is_loaded = lua_rawequal(L, -1, index);
  lua_pop(L, 2);
  return is_loaded ? name : NULL;
}

/* ---- what is in modules ---- */

/* Whether the table at `index` is a place of its own, not a part of the module it is found in. */
static bool is_apart(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (module_name(L, index)) return true;
  push_loaded(L);
  bool is_loaded = lua_rawequal(L, -1, index);
  lua_pop(L, 1);
  return is_loaded;
}

/* What is being noted: what is in a module. */
struct survey {
  int members; /* stack index of the map */
  int name;    /* stack index of the module's name */
  bool is_of_app;
  bool is_globals;
};

static void note_table(lua_State *L, const struct survey *survey, int table, int depth);

/* Notes the value on top, whose key is below it. */
static void note_field(lua_State *L, const struct survey *survey, int depth) {
  int value = lua_gettop(L);
  if (!is_field(L, value - 1)) return;
  bool is_own = survey->is_of_app || (survey->is_globals && !lua_iscfunction(L, value));
  if (lua_isfunction(L, value) && !is_own) note(L, survey->members, value, survey->name);
  if (!lua_istable(L, value) || is_apart(L, value)) return;
  note(L, survey->members, value, survey->name);
  if (depth < MODULE_FIELDS_MAX && !survey->is_globals) note_table(L, survey, value, depth + 1);
}

/* Notes the fields of a table; of a large one inside a module, which is data, only the first. */
static void note_table(lua_State *L, const struct survey *survey, int table, int depth) {
  luaL_checkstack(L, 8, "module");
  int count = 0;
  lua_pushnil(L);
  while ((depth == 1 || count++ < INDEX_ENTRIES_MAX) && lua_next(L, table)) {
    note_field(L, survey, depth);
    lua_settop(L, table + 1);
  }
  lua_settop(L, table);
}

/* Notes what is in the module on top of the stack, whose name is the string at `name`. Globals that
 * are functions of Lua are the app's. */
static void note_members(lua_State *L, int members, int name) {
  const char *text = lua_tostring(L, name);
  const struct survey survey = {.members = members,
                                .name = name,
                                .is_of_app = instance_has_module(L, text),
                                .is_globals = strcmp(text, LUA_GNAME) == 0};
  if (lua_istable(L, -1)) note_table(L, &survey, lua_gettop(L), 1);
}

static void push_new_members(lua_State *L) {
  push_new_map(L);
  int members = lua_gettop(L);
  push_loaded(L);
  for (lua_pushnil(L); lua_next(L, members + 1); lua_pop(L, 1))
    if (is_field(L, members + 2)) note_members(L, members, members + 2);
  lua_pop(L, 1);
  set_map(L, &members_key);
}

static void push_members(lua_State *L) {
  luaL_checkstack(L, LUA_MINSTACK, "module");
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &members_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  push_new_members(L);
}

void module_open(lua_State *L) {
  module_push_names(L);
  lua_pop(L, 1);
}

void module_note(lua_State *L, const char *name) {
  luaL_checkstack(L, LUA_MINSTACK, "module");
  int top = lua_gettop(L);
  int at_name = top + 1, names = top + 2, value = top + 3;
  lua_pushstring(L, name);
  module_push_names(L);
  push_loaded(L);
  lua_getfield(L, value, name);
  lua_replace(L, value);
  if (is_module_type(L, value)) note(L, names, value, at_name);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &members_key) == LUA_TTABLE) {
    lua_insert(L, value);
    note_members(L, value, at_name);
  }
  lua_settop(L, top);
}

void module_note_all(lua_State *L) {
  module_push_names(L);
  note_names(L, lua_gettop(L));
  push_new_members(L);
  lua_pop(L, 2);
}

bool module_has(lua_State *L, int index) {
  index = lua_absindex(L, index);
  push_members(L);
  lua_pushvalue(L, index);
  bool is_known = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return is_known;
}

/* ---- paths ---- */

/* Writes the field of the table at `table` that has the value. */
static bool find_field(lua_State *L, int table, int value, const char **field) {
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (!lua_rawequal(L, -1, value) || !is_field(L, -2)) continue;
    *field = lua_tostring(L, -2);
    lua_pop(L, 2);
    return true;
  }
  return false;
}

static bool find_nested_field(lua_State *L, int table, int value, struct module_path *path) {
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (!lua_istable(L, -1) || !is_field(L, -2) || is_apart(L, -1)) continue;
    if (!find_field(L, lua_gettop(L), value, &path->fields[1])) continue;
    path->fields[0] = lua_tostring(L, -2);
    lua_pop(L, 2);
    return true;
  }
  return false;
}

static bool find_member(lua_State *L, int value, struct module_path *path) {
  push_members(L);
  lua_pushvalue(L, value);
  bool is_found = false;
  if (lua_rawget(L, -2) == LUA_TSTRING) {
    path->module = lua_tostring(L, -1);
    push_loaded(L);
    bool is_table = lua_getfield(L, -1, path->module) == LUA_TTABLE;
    int module = lua_gettop(L);
    path->count = 1;
    is_found = is_table && find_field(L, module, value, &path->fields[0]);
    if (is_table && !is_found) {
      path->count = 2;
      is_found = find_nested_field(L, module, value, path);
    }
    lua_pop(L, 2);
  }
  lua_pop(L, 2);
  return is_found;
}

bool module_find(lua_State *L, int index, struct module_path *path) {
  index = lua_absindex(L, index);
  path->count = 0;
  path->module = module_name(L, index);
  return path->module || find_member(L, index, path);
}

const char *module_push_text(lua_State *L, const struct module_path *path) {
  lua_pushstring(L, path->module);
  for (int i = 0; i < path->count; i++) {
    lua_pushfstring(L, "%s.%s", lua_tostring(L, -1), path->fields[i]);
    lua_remove(L, -2);
  }
  return lua_tostring(L, -1);
}

bool module_is_loaded(lua_State *L, const char *name) {
  push_loaded(L);
  bool is_loaded = lua_getfield(L, -1, name) != LUA_TNIL;
  lua_pop(L, 2);
  return is_loaded;
}

/* The error on top ended the load of a module. A cancellation, or the end of the memory, is none of
 * its business. */
static NO_RETURN void raise_not_loaded(lua_State *L, int status, const char *name) {
  const char *kind = error_kind(L, -1);
  if (status == LUA_ERRMEM) lua_error(L);
  if (kind && (strcmp(kind, "cancelled") == 0 || strcmp(kind, "stall") == 0)) lua_error(L);
  error_raise(L, "transfer",
              "module '%s' was sent to a Lua state that cannot load it (%s); what is required at "
              "the top of app.lua is loaded in every state",
              name, error_push_text(L, -1));
}

static void push_require(lua_State *L, const char *name) {
  if (lua_getglobal(L, "require") != LUA_TFUNCTION)
    error_raise(L, "transfer", "this Lua state cannot load module '%s'", name);
  lua_pushstring(L, name);
}

static void require_module(lua_State *L, const char *name) {
  push_require(L, name);
  int status = lua_pcall(L, 1, 1, 0);
  if (status != LUA_OK) raise_not_loaded(L, status, name);
}

lua_nret module_require(lua_State *L, lua_KContext context, lua_KFunction k) {
  push_require(L, lua_tostring(L, -1));
  return k(L, lua_pcallk(L, 1, 0, 0, context, k), context);
}

void module_end_require(lua_State *L, int status) {
  if (status != LUA_OK && status != LUA_YIELD) raise_not_loaded(L, status, lua_tostring(L, -2));
  lua_pop(L, 1);
}

/* Replaces the value on top by its field; by nil when it is no table. */
static void take_field(lua_State *L, const char *field) {
  if (lua_istable(L, -1)) {
    lua_pushstring(L, field);
    lua_rawget(L, -2);
  } else {
    lua_pushnil(L);
  }
  lua_remove(L, -2);
}

void module_push(lua_State *L, const struct module_path *path) {
  luaL_checkstack(L, 8, "module");
  push_loaded(L);
  if (lua_getfield(L, -1, path->module) == LUA_TNIL) {
    lua_pop(L, 1);
    require_module(L, path->module);
  }
  lua_remove(L, -2);
  for (int i = 0; i < path->count; i++) take_field(L, path->fields[i]);
  if (!is_module_type(L, -1))
    error_raise(L, "transfer", "this Lua state has no %s", module_push_text(L, path));
}
