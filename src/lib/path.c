/* path.c - from what an app says to an absolute path.
 *
 * Outside of any app a relative path stays as it is: relative to where the process was started. */
#include "lib/path.h"

#include "core/snapshot.h"
#include "core/worker.h"

#include <lauxlib.h>
#include <string.h>

/* What is wrong with a path, or NULL. */
static const char *find_problem(const char *path, size_t len) {
  if (len == 0) return "a path is not empty";
  if (strlen(path) != len) return "a path has no NUL in it";
  return NULL;
}

static const char *push_absolute(lua_State *L, const char *path) {
  const struct snapshot *snapshot = worker_of(L)->snapshot;
  if (*path == '/' || !snapshot) return lua_pushstring(L, path);
  return lua_pushfstring(L, "%s/%s", snapshot_dir(snapshot), path);
}

const char *path_check(lua_State *L, int index) {
  size_t len;
  luaL_checktype(L, index, LUA_TSTRING);
  const char *path = lua_tolstring(L, index, &len), *problem = find_problem(path, len);
  if (problem) luaL_argerror(L, index, problem);
  return push_absolute(L, path);
}

const char *path_check_option(lua_State *L, int index, const char *name) {
  size_t len;
  if (lua_type(L, index) != LUA_TSTRING)
    luaL_error(L, "option \"%s\" is a path, not a %s", name, luaL_typename(L, index));
  const char *path = lua_tolstring(L, index, &len), *problem = find_problem(path, len);
  if (problem) luaL_error(L, "option \"%s\": %s", name, problem);
  return push_absolute(L, path);
}
