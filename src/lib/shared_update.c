/* shared_update.c - find, call, put back if nobody else did; else once more.
 *
 * Somebody always gets on: who has to try again does so because of one who has not. */
#include "lib/shared_update.h"

#include "base/limits.h"
#include "core/error.h"
#include "lib/gate_wait.h"
#include "lib/shared_method.h"

#include <lauxlib.h>

enum { AT_FUNCTION = 3, AT_TRIES, AT_RESULT };

static lua_nret go_on(lua_State *L, bool has_result, uint64_t version);

static int found_again(lua_State *L, int status, lua_KContext context) {
  shared_method_begin_again(L, status, context, AT_TRIES);
  return go_on(L, false, 0);
}

static int paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return go_on(L, false, 0);
}

/* The function has returned, or its result could not be put yet. */
static int called(lua_State *L, int status, lua_KContext version) {
  (void)status;
  return go_on(L, true, (uint64_t)version);
}

static void count_try(lua_State *L, const struct shared_call *call) {
  lua_Integer tries = lua_tointeger(L, AT_TRIES) + 1;
  if (tries > SHARED_UPDATES_MAX)
    error_raise(L, "conflict",
                "\"%s\" in shared table \"%s\" was changed each of the %d times that update called "
                "its function",
                luaL_tolstring(L, 2, NULL), shared_table_name(call->table), SHARED_UPDATES_MAX);
  lua_pushinteger(L, tries);
  lua_replace(L, AT_TRIES);
}

static enum shared_result put_result(lua_State *L, struct shared_call *call, uint64_t version) {
  struct shared_put put = {.when = SHARED_IF_VERSION, .version = version, .keeps_due = true};
  lua_settop(L, AT_RESULT);
  put.value = shared_convert_in(L, AT_RESULT);
  enum shared_result result = shared_table_put(call, &put);
  if (result != SHARED_DONE) shared_value_release(&put.value);
  return result;
}

/* Stack: the table, the key, the function, how often it has run; its result, if there is one for
 * the value with that version. */
static lua_nret go_on(lua_State *L, bool has_result, uint64_t version) {
  for (;; has_result = false) {
    struct shared_call call = shared_method_begin_key(L, "update");
    if (!has_result) {
      struct shared_found found;
      lua_settop(L, AT_TRIES);
      if (shared_method_get(L, &call, &found) == SHARED_BUSY)
        return shared_method_wait(L, &call, found_again);
      version = found.version;
      lua_pushvalue(L, AT_FUNCTION);
      if (!shared_convert_out(L, lua_upvalueindex(SHARED_SCRATCH), &found.value))
        return shared_method_require(L, found_again);
      lua_callk(L, 1, 1, (lua_KContext)version, called);
      call.waits = gate_wait_blocks(L);
    }
    enum shared_result result = put_result(L, &call, version);
    if (result == SHARED_DONE) return 1;
    if (result == SHARED_BUSY) return gate_wait(L, call.gate, (lua_KContext)version, called);
    if (result != SHARED_REFUSED) shared_method_raise(L, &call, result);
    count_try(L, &call);
    if (fiber_must_pause(L)) return fiber_pause(L, "shared:update", 0, paused);
  }
}

int shared_update(lua_State *L) {
  shared_method_begin_key(L, "update");
  luaL_checktype(L, AT_FUNCTION, LUA_TFUNCTION);
  lua_settop(L, AT_FUNCTION);
  lua_pushinteger(L, 0);
  return go_on(L, false, 0);
}
