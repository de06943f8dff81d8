/* command.c - the functions behind command.h.
 *
 * settings() and limits() are the tables that --help is made of; check() says what is wrong with a
 * value before anything is started. */
#include "lib/command.h"

#include "base/base.h"
#include "base/limits.h"

#include <lauxlib.h>
#include <llhttp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { POOL_THREADS_AUTO_MAX = 32, POOL_THREADS_BEYOND_CORES = 4 };

static int versions(lua_State *L) {
  lua_createtable(L, 0, 4);
  lua_pushliteral(L, PERILUNE_VERSION);
  lua_setfield(L, -2, "perilune");
  lua_pushliteral(L, LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE);
  lua_setfield(L, -2, "lua");
  lua_pushstring(L, uv_version_string());
  lua_setfield(L, -2, "libuv");
  lua_pushfstring(L, "%d.%d.%d", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
  lua_setfield(L, -2, "llhttp");
  return 1;
}

static void set_text(lua_State *L, const char *key, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static int list_settings(lua_State *L) {
  lua_Integer count = 0;
  lua_newtable(L);
  for (const struct setting *row = settings_next(NULL); row; row = settings_next(row)) {
    lua_createtable(L, 0, 5);
    set_text(L, "name", row->name);
    set_text(L, "kind", settings_kind_name(row->kind));
    set_text(L, "default", row->default_text);
    set_text(L, "unit", row->unit);
    set_text(L, "help", row->help);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

static int list_limits(lua_State *L) {
  static const struct {
    lua_Integer number;
    const char *unit, *what;
  } rows[] = {
#define ROW(name, limit_number, limit_unit, limit_what)                                            \
  {.number = name, .unit = limit_unit, .what = limit_what},
      LIMITS(ROW)
#undef ROW
  };
  lua_createtable(L, array_len(rows), 0);
  for (size_t i = 0; i < array_len(rows); i++) {
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, rows[i].number);
    lua_setfield(L, -2, "number");
    set_text(L, "unit", rows[i].unit);
    set_text(L, "what", rows[i].what);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* check(name, text) -> nil, or what is wrong */
static int check(lua_State *L) {
  char problem[SETTINGS_PROBLEM_BYTES];
  struct settings settings = {0};
  const char *name = luaL_checkstring(L, 1), *text = luaL_checkstring(L, 2);
  bool is_right = settings_set(&settings, name, text, problem, sizeof problem);
  settings_finish(&settings);
  if (is_right) return 0;
  lua_pushstring(L, problem);
  return 1;
}

static int nearest(lua_State *L) {
  lua_pushstring(L, settings_nearest(luaL_checkstring(L, 1))->name);
  return 1;
}

static int environment(lua_State *L) {
  lua_newtable(L);
  for (char **entry = environ; *entry; entry++) {
    const char *equals = strchr(*entry, '=');
    if (!equals) continue;
    lua_pushlstring(L, *entry, (size_t)(equals - *entry));
    lua_pushstring(L, equals + 1);
    lua_rawset(L, -3);
  }
  return 1;
}

static void count_auto(struct settings *settings) {
  int cores = (int)uv_available_parallelism();
  int threads = cores + POOL_THREADS_BEYOND_CORES;
  if (settings->workers == 0) settings->workers = cores;
  if (settings->pool_threads == 0)
    settings->pool_threads = threads < POOL_THREADS_AUTO_MAX ? threads : POOL_THREADS_AUTO_MAX;
}

void command_read_settings(lua_State *L, int index, struct settings *settings) {
  char problem[SETTINGS_PROBLEM_BYTES];
  index = lua_absindex(L, index);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *name = luaL_checkstring(L, -2), *text = luaL_checkstring(L, -1);
    if (!settings_set(settings, name, text, problem, sizeof problem)) luaL_error(L, "%s", problem);
  }
  count_auto(settings);
}

void command_add_functions(lua_State *L) {
  static const luaL_Reg functions[] = {{"versions", versions},
                                       {"settings", list_settings},
                                       {"limits", list_limits},
                                       {"check", check},
                                       {"nearest", nearest},
                                       {"environment", environment},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
