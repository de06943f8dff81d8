/* process_command.c - checks arguments, options and environment, and makes the arrays of them.
 *
 * Texts with a NUL are refused: a program would see something shorter than what was checked. The
 * arrays are userdata, and the strings in tables, so an error at any point leaves nothing behind.
 */
#include "lib/process_command.h"

#include "base/limits.h"
#include "base/settings.h"
#include "core/class.h"
#include "core/snapshot.h"
#include "core/worker.h"
#include "lib/options.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { AT_TABLE = 1 };

/* ---- the program and its arguments ---- */

/* Splits what has a name off what has a number: the names are checked, the numbers counted. */
static lua_Integer count_arguments(lua_State *L) {
  static const char *const names[] = {"stdin", "timeout",   "check",      "cwd",
                                      "env",   "clear_env", "max_output", NULL};
  lua_Integer count = (lua_Integer)lua_rawlen(L, AT_TABLE);
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, AT_TABLE); lua_pop(L, 1)) {
    if (lua_isinteger(L, -2)) {
      lua_Integer key = lua_tointeger(L, -2);
      if (key < 1 || key > count)
        luaL_error(L, "the command has a gap: something is at %I, nothing at %I", (LUAI_UACINT)key,
                   (LUAI_UACINT)(key < 1 ? 1 : count + 1));
      continue;
    }
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -5);
  }
  options_check(L, lua_gettop(L), names);
  lua_pop(L, 1);
  if (count == 0) luaL_error(L, "the program is missing: process.run { \"name\", arguments... }");
  return count;
}

/* Pushes argument `i` as a string without NUL. */
static char *push_argument(lua_State *L, lua_Integer i) {
  int type = lua_rawgeti(L, AT_TABLE, i);
  if (type == LUA_TNIL) luaL_error(L, "argument %I of the command is nil", (LUAI_UACINT)i);
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    luaL_error(L, "argument %I of the command is a string or number, not a %s", (LUAI_UACINT)i,
               lua_typename(L, type));
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  if (strlen(text) != len) luaL_error(L, "argument %I of the command has a NUL", (LUAI_UACINT)i);
  if (i == 1 && len == 0) luaL_error(L, "the name of the program is empty");
  return (char *)(uintptr_t)text;
}

static char **push_pointers(lua_State *L, size_t count) {
  return lua_newuserdatauv(L, (count + 1) * sizeof(char *), 0);
}

/* Pushes the list of arguments and their array. */
static char **push_arguments(lua_State *L) {
  lua_Integer count = count_arguments(L);
  lua_createtable(L, count < INT_MAX ? (int)count : 0, 0);
  class_set_array(L, lua_gettop(L));
  char **args = push_pointers(L, (size_t)count);
  for (lua_Integer i = 1; i <= count; i++) {
    args[i - 1] = push_argument(L, i);
    lua_rawseti(L, -3, i);
  }
  args[count] = NULL;
  return args;
}

/* ---- the environment ---- */

static void check_variable(lua_State *L) {
  int type = lua_type(L, -1);
  if (lua_type(L, -2) != LUA_TSTRING)
    luaL_error(L, "option \"env\" has names as keys, but one is a %s", luaL_typename(L, -2));
  const char *name = lua_tostring(L, -2);
  if (!*name || strchr(name, '=') || strlen(name) != lua_rawlen(L, -2))
    luaL_error(L, "option \"env\": \"%s\" is no name of a variable", name);
  bool is_removed = type == LUA_TBOOLEAN && !lua_toboolean(L, -1);
  if (type != LUA_TSTRING && type != LUA_TNUMBER && !is_removed)
    luaL_error(L, "option \"env\": \"%s\" is a string, a number or false, not %s", name,
               luaL_tolstring(L, -1, NULL));
  if (type == LUA_TSTRING && strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1))
    luaL_error(L, "option \"env\": \"%s\" has a NUL", name);
}

/* Whether the table at `env` says something else about a variable of this process. */
static bool is_replaced(lua_State *L, int env, const char *variable) {
  lua_pushlstring(L, variable, strcspn(variable, "="));
  bool is_replaced = lua_rawget(L, env) != LUA_TNIL;
  lua_pop(L, 1);
  return is_replaced;
}

/* Puts the variables of the table at `env` at `out`, and their strings into the list on top. */
static char **add_variables(lua_State *L, int env, char **out) {
  int texts = lua_gettop(L);
  lua_Integer count = 0;
  for (lua_pushnil(L); lua_next(L, env); lua_settop(L, texts + 1)) {
    if (lua_isboolean(L, -1)) continue;
    lua_pushvalue(L, -2);
    lua_pushliteral(L, "=");
    luaL_tolstring(L, -3, NULL);
    lua_concat(L, 3);
    *out++ = (char *)(uintptr_t)lua_tostring(L, -1);
    lua_rawseti(L, texts, ++count);
  }
  return out;
}

static size_t count_variables(lua_State *L, int env) {
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, env); lua_pop(L, 1), count++) check_variable(L);
  return count;
}

/* Replaces the table on top by a list of its strings with their array. */
static char **replace_environment(lua_State *L, bool is_cleared) {
  int env = lua_gettop(L);
  size_t count = count_variables(L, env), inherited = 0;
  while (!is_cleared && environ[inherited]) inherited++;
  char **variables = push_pointers(L, inherited + count), **out = variables;
  for (size_t i = 0; i < inherited; i++) {
    if (!is_replaced(L, env, environ[i])) *out++ = environ[i];
  }
  lua_newtable(L);
  *add_variables(L, env, out) = NULL;
  lua_pushvalue(L, env + 1);
  lua_rawseti(L, env + 2, 0);
  lua_replace(L, env);
  lua_settop(L, env);
  return variables;
}

/* ---- single options ---- */

static bool read_flag(lua_State *L, const char *name) {
  int type = lua_getfield(L, AT_TABLE, name);
  bool flag = lua_toboolean(L, -1);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    luaL_error(L, "option \"%s\" is true or false, not a %s", name, lua_typename(L, type));
  lua_pop(L, 1);
  return flag;
}

/* Pushes the environment, or nil for that of this process. */
static char **push_environment(lua_State *L) {
  bool is_cleared = read_flag(L, "clear_env");
  int type = lua_getfield(L, AT_TABLE, "env");
  if (type == LUA_TNIL && !is_cleared) return NULL;
  if (type == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
  } else if (type != LUA_TTABLE) {
    luaL_error(L, "option \"env\" is a table, not a %s", lua_typename(L, type));
  }
  return replace_environment(L, is_cleared);
}

/* Pushes the directory, nil where there is no app and none was given. */
static const char *push_cwd(lua_State *L) {
  const struct snapshot *snapshot = worker_of(L)->snapshot;
  int type = lua_getfield(L, AT_TABLE, "cwd");
  if (type == LUA_TNIL) {
    if (snapshot) lua_pushstring(L, snapshot_dir(snapshot)), lua_replace(L, -2);
    return lua_tostring(L, -1);
  }
  if (type != LUA_TSTRING)
    luaL_error(L, "option \"cwd\" is a path, not a %s", lua_typename(L, type));
  size_t len;
  const char *path = lua_tolstring(L, -1, &len);
  if (len == 0 || strlen(path) != len)
    luaL_error(L, "option \"cwd\" is a path, not empty and without NUL");
  if (*path == '/' || !snapshot) return path;
  path = lua_pushfstring(L, "%s/%s", snapshot_dir(snapshot), path);
  lua_replace(L, -2);
  return path;
}

static uint64_t read_timeout(lua_State *L) {
  int type = lua_getfield(L, AT_TABLE, "timeout");
  lua_Number seconds = lua_tonumber(L, -1);
  if (type != LUA_TNIL && (type != LUA_TNUMBER || !(seconds > 0)))
    luaL_error(L, "option \"timeout\" is a number of seconds above 0, not %s",
               luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return options_seconds(seconds);
}

static size_t read_output_max(lua_State *L) {
  int64_t bytes = PROCESS_OUTPUT_BYTES_MAX;
  int type = lua_getfield(L, AT_TABLE, "max_output");
  bool is_good = type == LUA_TNIL;
  if (type == LUA_TSTRING) is_good = settings_parse_bytes(lua_tostring(L, -1), &bytes);
  if (lua_isinteger(L, -1)) is_good = (bytes = lua_tointeger(L, -1)) >= 0;
  if (!is_good || bytes < 0)
    luaL_error(L, "option \"max_output\" is a number of bytes (65536 or \"20m\"), not %s",
               luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return (size_t)bytes;
}

static bool has_input(lua_State *L) {
  int type = lua_getfield(L, AT_TABLE, "stdin");
  if (type != LUA_TNIL && type != LUA_TSTRING && type != LUA_TFUNCTION)
    luaL_error(L, "option \"stdin\" is a string, or a function that gives pieces, not a %s",
               lua_typename(L, type));
  lua_pop(L, 1);
  return type != LUA_TNIL;
}

void process_command_read(lua_State *L, struct process_command *command) {
  luaL_checkstack(L, LUA_MINSTACK, "process.run");
  command->start.args = push_arguments(L);
  command->start.has_input = has_input(L);
  command->timeout_ns = read_timeout(L);
  command->checks = read_flag(L, "check");
  command->start.output_max = read_output_max(L);
  command->start.env = push_environment(L);
  command->start.cwd = push_cwd(L);
}
