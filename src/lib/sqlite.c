/* sqlite.c - the module: open with its options, and the methods of handles.
 *
 * migrate is Lua (perilune.migrate). */
#include "lib/sqlite.h"

#include "base/limits.h"
#include "core/class.h"
#include "core/error.h"
#include "core/opened.h"
#include "core/require.h"
#include "core/snapshot.h"
#include "core/timer.h"
#include "core/worker.h"
#include "lib/options.h"
#include "lib/sqlite_call.h"
#include "lib/sqlite_handle.h"
#include "lib/sqlite_registry.h"
#include "lib/sqlite_rows.h"
#include "lib/sqlite_transaction.h"

#include <lauxlib.h>
#include <string.h>

/* ---- options; the table, or nil, is at 2 ---- */

enum { AT_PATH = 1, AT_OPTIONS, AT_BOX };

/* Pushes the option; LUA_TNIL when it or the table is absent. */
static int push_option(lua_State *L, const char *name) {
  if (!lua_isnil(L, AT_OPTIONS)) return lua_getfield(L, AT_OPTIONS, name);
  lua_pushnil(L);
  return LUA_TNIL;
}

static bool read_boolean(lua_State *L, const char *name, bool otherwise) {
  int type = push_option(L, name);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    luaL_error(L, "option \"%s\" is true or false, not a %s", name, lua_typename(L, type));
  bool value = type == LUA_TNIL ? otherwise : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

static int read_count(lua_State *L, const char *name, int otherwise, int most) {
  int type = push_option(L, name), is_integer = 0;
  lua_Integer value = lua_tointegerx(L, -1, &is_integer);
  if (type != LUA_TNIL && (type != LUA_TNUMBER || !is_integer || value < 1 || value > most))
    luaL_error(L, "option \"%s\" is a whole number from 1 to %d, not %s", name, most,
               options_push_shown(L, -1));
  lua_pop(L, 1);
  return type == LUA_TNIL ? otherwise : (int)value;
}

static uint64_t read_busy_timeout(lua_State *L) {
  int type = push_option(L, "busy_timeout");
  uint64_t timeout_ns = SQLITE_BUSY_TIMEOUT_MS * NS_PER_MS;
  if (type != LUA_TNIL && (type != LUA_TNUMBER || !(lua_tonumber(L, -1) >= 0)))
    luaL_error(L, "option \"busy_timeout\" is a number of seconds, not %s",
               options_push_shown(L, -1));
  if (type != LUA_TNIL) timeout_ns = options_check_seconds(L, lua_gettop(L));
  lua_pop(L, 1);
  return timeout_ns;
}

static enum sqlite_synchronous read_synchronous(lua_State *L) {
  static const char *const names[] = {"off", "normal", "full"};
  int type = push_option(L, "synchronous");
  int found = type == LUA_TNIL ? SQLITE_SYNCHRONOUS_NORMAL : -1;
  for (int i = 0; type == LUA_TSTRING && i < (int)array_len(names); i++)
    if (strcmp(lua_tostring(L, -1), names[i]) == 0) found = i;
  if (found < 0)
    luaL_error(L, "option \"synchronous\" is \"off\", \"normal\" or \"full\", not %s",
               options_push_shown(L, -1));
  lua_pop(L, 1);
  return (enum sqlite_synchronous)found;
}

static bool read_null(lua_State *L) {
  int type = push_option(L, "null");
  if (type != LUA_TNIL && !class_is_null(L, -1))
    luaL_error(L, "option \"null\" is perilune.null, not a %s", lua_typename(L, type));
  lua_pop(L, 1);
  return type != LUA_TNIL;
}

static struct sqlite_options read_options(lua_State *L) {
  static const char *const names[] = {"readonly",     "create", "synchronous", "readers",
                                      "busy_timeout", "cache",  "null",        NULL};
  options_check(L, AT_OPTIONS, names);
  struct sqlite_options options = {.readonly = read_boolean(L, "readonly", false)};
  options.create = read_boolean(L, "create", !options.readonly);
  if (options.readonly && options.create)
    luaL_error(L, "option \"create\": a database that is read only is not created");
  options.synchronous = read_synchronous(L);
  options.readers = read_count(L, "readers", SQLITE_READERS, SQLITE_READERS_MAX);
  options.statements = read_count(L, "cache", SQLITE_STATEMENTS, SQLITE_STATEMENTS_MAX);
  options.busy_timeout_ns = read_busy_timeout(L);
  return options;
}

/* ---- open ---- */

static const char *check_path(lua_State *L) {
  size_t len;
  if (lua_istable(L, AT_PATH)) luaL_error(L, "use a dot: sqlite.open(path, options)");
  luaL_checktype(L, AT_PATH, LUA_TSTRING);
  const char *path = lua_tolstring(L, AT_PATH, &len);
  luaL_argcheck(L, len > 0 && strlen(path) == len, AT_PATH, "a path expected");
  return path;
}

/* Pushes the path, which is one of the app's directory unless it is absolute. */
static const char *push_absolute(lua_State *L, const char *path) {
  const struct snapshot *snapshot = worker_of(L)->snapshot;
  bool is_relative = *path != '/' && strcmp(path, ":memory:") != 0;
  if (!is_relative || !snapshot) return lua_pushstring(L, path);
  return lua_pushfstring(L, "%s/%s", snapshot_dir(snapshot), path);
}

static int opened(lua_State *L, int status, lua_KContext nulls) {
  (void)status;
  const struct sqlite_job *job = sqlite_call_check(L, AT_BOX);
  struct sqlite_handle *handle = sqlite_handle_push(L, job->database, nulls != 0);
  handle->opened = opened_add(L, OPENED_DATABASE);
  sqlite_call_drop(L, AT_BOX);
  return 1;
}

static int open_database(lua_State *L) {
  const char *path = check_path(L);
  lua_settop(L, AT_OPTIONS);
  struct sqlite_options options = read_options(L);
  bool nulls = read_null(L);
  struct fiber *fiber = fiber_begin_wait(L, "sqlite.open");
  struct sqlite_job *job = sqlite_call_push(L, SQLITE_JOB_OPEN, NULL);
  path = push_absolute(L, path);
  job->path = memory_copy(path, strlen(path));
  job->options = options;
  lua_settop(L, AT_BOX);
  return sqlite_call_wait(L, fiber, job, "sqlite.open", nulls, opened);
}

/* ---- migrate ---- */

static int migrated(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L);
}

static int migrate(lua_State *L) {
  sqlite_handle_check_target(L, "migrate");
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  require_push_caller(L);
  lua_insert(L, 1);
  lua_pushliteral(L, "perilune.migrate");
  lua_insert(L, 2);
  lua_callk(L, 3, LUA_MULTRET, 0, migrated);
  return migrated(L, LUA_OK, 0);
}

/* ---- the module ---- */

#define METHODS                                                                                    \
  {"query", sqlite_call_query}, {"row", sqlite_call_row}, {"value", sqlite_call_value},            \
      {"exec", sqlite_call_exec}, {"rows", sqlite_rows}, {                                         \
    "transaction", sqlite_transaction                                                              \
  }

void sqlite_register(lua_State *L) {
  static const luaL_Reg database[] = {METHODS, {"migrate", migrate}, {NULL, NULL}};
  static const luaL_Reg transaction[] = {METHODS, {NULL, NULL}};
  luaL_newlib(L, database);
  luaL_newlib(L, transaction);
  sqlite_handle_open(L);
  sqlite_call_open(L);
  sqlite_rows_open(L);
}

int sqlite_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"open", open_database}, {"blob", sqlite_handle_blob}, {NULL, NULL}};
  if (!sqlite_registry_start(worker_of(L)->process->databases))
    return luaL_error(L, "cannot start the thread that opens databases");
  luaL_newlib(L, functions);
  return 1;
}
