/* life.c - calling life.lua, and the functions of perilune.native.life.
 *
 * Those run in the fiber that waits for a hook, so its trail is the traceback of the hook. */
#include "lib/life.h"

#include "base/log.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/require.h"
#include "core/worker.h"
#include "lib/schedule.h"
#include "lib/task.h"

#include <lauxlib.h>

int life_push(lua_State *L, int index, const char *kind) {
  index = lua_absindex(L, index);
  require_push_caller(L);
  lua_pushliteral(L, "perilune.life");
  lua_pushstring(L, kind);
  lua_pushvalue(L, index);
  return 3;
}

int life_push_state(lua_State *L, int index, const char *role, const char *name, int number) {
  int count = life_push(L, index, "on_state");
  lua_pushstring(L, role);
  lua_pushstring(L, name);
  lua_pushinteger(L, number);
  return count + 3;
}

/* failed(owner, hook, source, error) -> one line. A hook that the stop of its worker has ended is
 * no failure in the log. */
static int failed(lua_State *L) {
  const char *owner = luaL_checkstring(L, 1), *hook = luaL_checkstring(L, 2);
  const char *source = luaL_checkstring(L, 3);
  lua_settop(L, 4);
  const struct fiber *fiber = fiber_running(L);
  const char *error = error_push_text(L, 4);
  const char *trail = fiber_find_trail(L, 4);
  const struct log_field fields[] = {
      log_text("hook", hook),
      log_text("source", source),
      log_text("error", error),
      log_text("traceback", trail ? trail : ""),
  };
  log_write(worker_of(L)->process->log, fiber->cancelled ? LOG_INFO : LOG_ERROR,
            fiber->cancelled ? "hook cancelled" : "hook failed", fields, array_len(fields));
  lua_pushfstring(L, "%s:%s at %s failed: %s", owner, hook, source, error);
  return 1;
}

/* scheduler() -> tasks that belong to no request */
static int scheduler(lua_State *L) {
  schedule_push(L, NULL, TASK_NOW);
  return 1;
}

int life_push_loop(lua_State *L, int index, const char *kind, const char *name) {
  int count = life_push(L, index, kind);
  lua_pushstring(L, name);
  return count + 1;
}

int life_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"failed", failed}, {"scheduler", scheduler}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
