/* sync.c - classes whose methods find their metatable in an upvalue, and waits in their lists.
 *
 * Comparing a metatable with an upvalue is what makes the check of self cheap: these methods are
 * called often, and most calls do little else. */
#include "lib/sync.h"

#include "core/heartbeat.h"
#include "core/timer.h"
#include "lib/options.h"

#include <string.h>

/* ---- classes ---- */

void sync_push_class(lua_State *L, const char *name, const luaL_Reg methods[], int count) {
  int first = lua_gettop(L) - count + 1;
  lua_createtable(L, 0, 8);
  int metatable = lua_gettop(L);
  lua_newtable(L);
  for (const luaL_Reg *method = methods; method->name; method++) {
    lua_pushvalue(L, metatable);
    for (int i = 0; i < count; i++) lua_pushvalue(L, first + i);
    lua_pushcclosure(L, method->func, 1 + count);
    bool is_metamethod = strncmp(method->name, "__", 2) == 0;
    lua_setfield(L, is_metamethod ? metatable : metatable + 1, method->name);
  }
  lua_setfield(L, metatable, "__index");
  lua_pushfstring(L, "perilune.%s", name);
  lua_setfield(L, metatable, "__name");
  lua_insert(L, first);
  lua_settop(L, first);
}

void sync_add_constructor(lua_State *L, const char *name, lua_CFunction create) {
  lua_pushcclosure(L, create, 1);
  lua_setfield(L, -2, name);
}

void *sync_push(lua_State *L, size_t bytes, int class) {
  void *object = lua_newuserdatauv(L, bytes, 1);
  memset(object, 0, bytes);
  lua_pushvalue(L, lua_upvalueindex(class));
  lua_setmetatable(L, -2);
  return object;
}

void *sync_check(lua_State *L, const char *class, const char *method) {
  void *object = lua_touserdata(L, 1);
  if (LIKELY(object && lua_getmetatable(L, 1))) {
    bool is_own = lua_rawequal(L, -1, lua_upvalueindex(SYNC_OWN_CLASS));
    lua_pop(L, 1);
    if (LIKELY(is_own)) return object;
  }
  luaL_error(L, "%s.%s was called without its %s: use a colon (%s:%s)", class, method, class, class,
             method);
  return NULL;
}

/* ---- waiting ---- */

lua_KContext sync_check_limit(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return SYNC_FOREVER;
  return (lua_KContext)options_check_seconds(L, index);
}

lua_nret sync_park(lua_State *L, struct list *waiting, const char *what, lua_KContext limit_ns,
                   lua_KFunction k) {
  struct fiber *fiber = fiber_begin_wait(L, what);
  if (limit_ns != SYNC_FOREVER)
    timer_start(fiber->timers, &fiber->timer, timers_now(fiber->timers) + (uint64_t)limit_ns,
                fiber_wake_by_timer);
  return fiber_park_inside(L, fiber, waiting, what, limit_ns, k);
}

struct fiber *sync_end_wait(lua_State *L) {
  fiber_check_cancelled(L);
  struct fiber *fiber = fiber_running(L);
  if (UNLIKELY(fiber->interrupt_ns != HEARTBEAT_NEVER)) scope_expire_due(fiber);
  return fiber;
}

/* ---- describing ---- */

void sync_add_waiting(lua_State *L, const struct list *waiting, const char *what) {
  lua_Integer count = 0;
  for (const struct list *link = waiting->next; link != waiting; link = link->next) count++;
  if (count == 0) return;
  lua_pushfstring(L, "%s, %I waiting%s", lua_tostring(L, -1), (LUAI_UACINT)count, what);
  lua_remove(L, -2);
}
