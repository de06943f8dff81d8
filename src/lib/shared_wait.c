/* shared_wait.c - a waiter in the table, owned by a box on the stack of who waits.
 *
 * It is put there together with a look at the version of the value: either the change is seen at
 * once, or it wakes the waiter. */
#include "lib/shared_wait.h"

#include "core/error.h"
#include "core/timer.h"
#include "lib/gate_wait.h"
#include "lib/shared_method.h"
#include "lib/sync.h"

#include <lauxlib.h>

#define WAIT_CLASS "perilune.shared.wait"

enum { AT_OLD = 4, AT_BOX };

struct box {
  struct shared_waiter *waiter;
  bool has_old;
  uint64_t limit_ns; /* when waiting is over; 0: never */
  uint64_t due_ns;   /* when the value expires; 0: never */
};

static bool unwatch(struct box *box) {
  struct shared_waiter *waiter = box->waiter;
  box->waiter = NULL;
  return waiter && shared_table_unwatch(waiter);
}

static int collect(lua_State *L) {
  unwatch(lua_touserdata(L, 1));
  return 0;
}

static lua_nret look(lua_State *L);
static lua_nret give(lua_State *L);

static int look_again(lua_State *L, int status, lua_KContext context) {
  shared_method_begin_again(L, status, context, AT_BOX);
  return look(L);
}

static int give_again(lua_State *L, int status, lua_KContext context) {
  shared_method_begin_again(L, status, context, AT_BOX);
  return give(L);
}

/* The value as it is now. */
static lua_nret give(lua_State *L) {
  struct shared_call call = shared_method_begin_key(L, "wait");
  struct shared_found found;
  if (shared_method_get(L, &call, &found) == SHARED_BUSY)
    return shared_method_wait(L, &call, give_again);
  return shared_method_give(L, &found.value, give_again);
}

static int woken(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct box *box = lua_touserdata(L, AT_BOX);
  bool has_changed = unwatch(box);
  const struct fiber *fiber = sync_end_wait(L);
  uint64_t now_ns = timers_now(fiber->timers);
  has_changed = has_changed || (box->due_ns > 0 && box->due_ns <= now_ns);
  if (has_changed) return box->has_old ? look(L) : give(L);
  error_raise(L, "timeout", "the value was not changed in time");
}

static lua_nret park(lua_State *L, struct fiber *fiber, const struct box *box) {
  uint64_t until_ns = box->limit_ns;
  if (box->due_ns > 0 && (until_ns == 0 || box->due_ns < until_ns)) until_ns = box->due_ns;
  if (until_ns == 0) return fiber_park(L, fiber, "shared:wait", 0, woken);
  return fiber_park_until(L, fiber, "shared:wait", until_ns, 0, woken);
}

/* Watches the value that was found. */
static lua_nret watch(lua_State *L, struct shared_call *call, const struct shared_found *found) {
  struct fiber *fiber = fiber_begin_wait(L, "shared:wait");
  struct box *box = lua_touserdata(L, AT_BOX);
  box->waiter = shared_table_make_waiter(fiber);
  box->due_ns = found->due_ns;
  enum shared_result result = shared_table_watch(call, box->waiter, found->version);
  if (result == SHARED_DONE) return park(L, fiber, box);
  unwatch(box);
  if (result == SHARED_BUSY) return shared_method_wait(L, call, look_again);
  return box->has_old ? look(L) : give(L);
}

/* Stack: the table, the key, the limit, the old value, the box. */
static lua_nret look(lua_State *L) {
  struct shared_call call = shared_method_begin_key(L, "wait");
  const struct box *box = lua_touserdata(L, AT_BOX);
  struct shared_found found;
  if (shared_method_get(L, &call, &found) == SHARED_BUSY)
    return shared_method_wait(L, &call, look_again);
  if (!box->has_old) {
    shared_value_release(&found.value);
    return watch(L, &call, &found);
  }
  bool is_message = found.value.type == SHARED_MESSAGE;
  lua_nret count = shared_method_give(L, &found.value, look_again);
  if (is_message || !lua_rawequal(L, -1, AT_OLD)) return count;
  lua_settop(L, AT_BOX);
  return watch(L, &call, &found);
}

int shared_wait(lua_State *L) {
  shared_method_begin_key(L, "wait");
  lua_KContext limit_ns = sync_check_limit(L, 3);
  bool has_old = lua_gettop(L) >= AT_OLD;
  lua_settop(L, AT_OLD);
  int type = lua_type(L, AT_OLD);
  luaL_argcheck(L, type <= LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING, AT_OLD,
                "a string, number, boolean or nil expected: tables are never the same");
  struct fiber *fiber = fiber_begin_wait(L, "shared:wait");
  struct box *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (struct box){.has_old = has_old};
  luaL_setmetatable(L, WAIT_CLASS);
  if (limit_ns != SYNC_FOREVER) box->limit_ns = timers_now(fiber->timers) + (uint64_t)limit_ns;
  return look(L);
}

void shared_wait_open(lua_State *L) {
  luaL_newmetatable(L, WAIT_CLASS);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
