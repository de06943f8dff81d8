/* require.c - finding, compiling and running modules.
 *
 * The order is: package.loaded, package.preload, the app's directory (through the snapshot),
 * package.path as text, package.cpath. A module is run by one fiber; others that want it meanwhile
 * are parked until it has ended, whichever way. */
#include "core/require.h"

#include "base/list.h"
#include "core/fiber.h"
#include "core/instance.h"
#include "core/module.h"
#include "core/snapshot.h"
#include "core/worker.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* Key of a table of the instance: modules being run (name -> struct loading). */
static const char loading_key = 0;

/* A module being run; a userdata in the table of loading_key. */
struct loading {
  struct fiber *fiber;
  struct list waiting; /* fiber.link */
};

enum { PATH_BYTES_MAX = 1024 };

/* ---- text only ---- */

/* Upvalues: Lua's own load or loadfile, and which of its arguments is the mode. */
static int load_text(lua_State *L) {
  int mode = (int)lua_tointeger(L, lua_upvalueindex(2));
  if (lua_gettop(L) < mode) lua_settop(L, mode);
  lua_pushliteral(L, "t");
  lua_replace(L, mode);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static void replace_loader(lua_State *L, const char *name, lua_Integer mode) {
  lua_getglobal(L, name);
  lua_pushinteger(L, mode);
  lua_pushcclosure(L, load_text, 2);
  lua_setglobal(L, name);
}

static int file_done(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L) - 1;
}

static int do_file(lua_State *L) {
  const char *path = luaL_optstring(L, 1, NULL);
  lua_settop(L, 1);
  if (luaL_loadfilex(L, path, "t") != LUA_OK) return lua_error(L);
  lua_callk(L, 0, LUA_MULTRET, 0, file_done);
  return file_done(L, 0, 0);
}

/* ---- the app's files ---- */

static void compile_app_file(lua_State *L, struct snapshot *snapshot, const char *path,
                             struct slice text) {
  lua_pushfstring(L, "@%s/%s", snapshot_shown_dir(snapshot), path);
  const char *chunk_name = lua_tostring(L, -1);
  int status = luaL_loadbufferx(L, text.data, text.len, chunk_name, "t");
  lua_remove(L, -2);
  if (status != LUA_OK) lua_error(L);
}

void require_load_app_file(lua_State *L, const char *path) {
  struct snapshot *snapshot = worker_of(L)->snapshot;
  struct slice text;
  if (!snapshot_read(snapshot, path, &text))
    luaL_error(L, "%s has no %s", snapshot_shown_dir(snapshot), path);
  compile_app_file(L, snapshot, path, text);
}

/* package.searchers: the module's file in the app's directory. */
static int search_app(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  struct snapshot *snapshot = worker_of(L)->snapshot;
  if (!snapshot || strncmp(name, "perilune.", strlen("perilune.")) == 0) return 0;
  static const char *const patterns[] = {"%s.lua", "%s/init.lua"};
  const char *base = luaL_gsub(L, name, ".", "/");
  lua_settop(L, 2);
  if (strlen(base) > PATH_BYTES_MAX || strstr(base, "//")) return 0;
  for (size_t i = 0; i < array_len(patterns); i++) {
    struct slice text;
    const char *path = lua_pushfstring(L, patterns[i], base);
    if (snapshot_read(snapshot, path, &text)) {
      instance_note_module(L, name);
      compile_app_file(L, snapshot, path, text);
      lua_insert(L, -2);
      return 2;
    }
  }
  return 0;
}

/* package.searchers: package.path, as text. Upvalue 1: package. */
static int search_path(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_settop(L, 1);
  lua_getfield(L, lua_upvalueindex(1), "searchpath");
  lua_pushvalue(L, 1);
  lua_getfield(L, lua_upvalueindex(1), "path");
  lua_call(L, 2, 2);
  if (lua_isnil(L, -2)) return 1;
  lua_pop(L, 1);
  if (luaL_loadfilex(L, lua_tostring(L, -1), "t") != LUA_OK)
    return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", lua_tostring(L, 1),
                      lua_tostring(L, 2), lua_tostring(L, -1));
  lua_insert(L, -2);
  return 2;
}

/* ---- require ---- */

static NO_RETURN void raise_not_found(lua_State *L, const char *name) {
  const struct snapshot *snapshot = worker_of(L)->snapshot;
  const char *base = luaL_gsub(L, name, ".", "/");
  const char *dir = snapshot ? snapshot_shown_dir(snapshot) : ".";
  luaL_error(L,
             "module '%s' not found: there is no %s/%s.lua, no %s/%s/init.lua, and nothing of that "
             "name in package.path and package.cpath",
             name, dir, base, dir, base);
  abort();
}

/* Leaves the loader's extra value at 3 and the loader at 4; raises when no searcher has it.
 * Upvalue 1: package. */
static void find_loader(lua_State *L, const char *name) {
  enum { SEARCHERS = 3, LOADER = 4 };
  lua_getfield(L, lua_upvalueindex(1), "searchers");
  for (lua_Integer i = 1;; i++) {
    if (lua_rawgeti(L, SEARCHERS, i) == LUA_TNIL) raise_not_found(L, name);
    lua_pushstring(L, name);
    lua_call(L, 1, 2);
    if (lua_isfunction(L, LOADER)) break;
    lua_settop(L, SEARCHERS);
  }
  lua_replace(L, SEARCHERS);
}

/* Stack: name, loading at 2, loader data at 3; then the results or the error. */
static int module_ended(lua_State *L, int status, lua_KContext context) {
  (void)context;
  const char *name = lua_tostring(L, 1);
  struct loading *loading = lua_touserdata(L, 2);
  instance_push_table(L, &loading_key);
  lua_pushnil(L);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
  fiber_wake_all(&loading->waiting);
  if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (!lua_isnil(L, -2)) {
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, name);
  } else if (lua_getfield(L, -1, name) == LUA_TNIL) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -3, name);
    lua_pop(L, 1);
  } else {
    lua_pop(L, 1);
  }
  module_note(L, name);
  lua_getfield(L, -1, name);
  lua_pushvalue(L, 3);
  return 2;
}

/* Stack: name. Runs the module with `loading` at 2 and the loader's extra value at 3. */
static int run_module(lua_State *L, const char *name) {
  struct loading *loading = lua_newuserdatauv(L, sizeof *loading, 0);
  loading->fiber = fiber_running(L);
  list_init(&loading->waiting);
  find_loader(L, name);
  instance_push_table(L, &loading_key);
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
  lua_pushcfunction(L, fiber_save_trail);
  lua_insert(L, 4);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 3);
  return module_ended(L, lua_pcallk(L, 2, 1, 4, 0, module_ended), 0);
}

static int require_again(lua_State *L, int status, lua_KContext context);

static bool is_waiting(const struct loading *loading, const struct fiber *fiber) {
  const struct list *waiting = &loading->waiting;
  for (const struct list *link = waiting->next; link != waiting; link = link->next)
    if (container_of(link, const struct fiber, link) == fiber) return true;
  return false;
}

/* The module that a fiber waits for, or NULL. */
static const struct loading *find_wanted(lua_State *L, const struct fiber *fiber) {
  const struct loading *wanted = NULL;
  instance_push_table(L, &loading_key);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    const struct loading *loading = lua_touserdata(L, -1);
    if (is_waiting(loading, fiber)) wanted = loading;
  }
  lua_pop(L, 1);
  return wanted;
}

/* Whether the module's end needs that of `fiber`: it runs it, or what it runs requires, which other
 * fibers run, leads back. */
static bool depends_on(lua_State *L, const struct loading *loading, const struct fiber *fiber) {
  while (loading && loading->fiber != fiber) loading = find_wanted(L, loading->fiber);
  return loading != NULL;
}

static int wait_for(lua_State *L, struct loading *loading, const char *name) {
  struct fiber *fiber = fiber_running(L);
  if (!fiber || depends_on(L, loading, fiber))
    return luaL_error(L, "module '%s' requires itself, directly or through others", name);
  fiber_begin_wait(L, "require");
  return fiber_park_inside(L, fiber, &loading->waiting, "require", 0, require_again);
}

static int require(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lua_settop(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, 2, name);
  if (lua_toboolean(L, -1)) return 1;
  lua_settop(L, 1);
  instance_push_table(L, &loading_key);
  lua_getfield(L, 2, name);
  struct loading *loading = lua_touserdata(L, -1);
  if (loading) return wait_for(L, loading, name);
  lua_settop(L, 1);
  return run_module(L, name);
}

static int require_again(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return require(L);
}

void require_push_caller(lua_State *L) {
  if (luaL_loadstring(L, "local name = ... return require(name)(select(2, ...))") != LUA_OK)
    lua_error(L);
}

void require_open(lua_State *L) {
  module_open(L);
  replace_loader(L, "load", 3);
  replace_loader(L, "loadfile", 2);
  lua_register(L, "dofile", do_file);

  lua_getglobal(L, "package");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, require, 1);
  lua_setglobal(L, "require");
  lua_getfield(L, -1, "searchers"); /* preload, path, cpath, cpath of the root */
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, search_path, 1);
  lua_rawseti(L, -2, 2);
  for (lua_Integer i = 4; i >= 2; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, search_app);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
}
