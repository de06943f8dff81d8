/* semaphore.c - permits, and the fibers that wait for one.
 *
 * What with() has taken is a permit, a userdata: it is given back when the function has ended, and
 * by its own __close and __gc when an app's coroutine around it is closed or collected. */
#include "lib/semaphore.h"

#include "base/limits.h"
#include "lib/sync.h"

#define CLASS "semaphore"

struct semaphore {
  struct list waiting; /* fiber.link; nobody while there is a permit */
  lua_Integer permits;
};

struct permit {
  struct semaphore *semaphore; /* user value 1 keeps it */
  bool is_held;
};

static void give_back(struct semaphore *semaphore) {
  struct fiber *first = sync_first(&semaphore->waiting);
  if (first)
    sync_wake(first);
  else
    semaphore->permits++;
}

static void release_permit(struct permit *permit) {
  if (!permit->is_held) return;
  permit->is_held = false;
  give_back(permit->semaphore);
}

/* ---- acquire ---- */

/* First in a continuation that may have been called at once, without a wait. */
static void end_wait(lua_State *L, int status) {
  if (status != LUA_YIELD) return;
  struct fiber *fiber = sync_end_wait(L);
  if (!fiber->cancelled) return;
  give_back(lua_touserdata(L, 1));
  fiber_raise_cancelled(L, scope_find_cancelled(fiber));
}

/* Goes on in `k` with a permit. */
static int take(lua_State *L, const char *what, lua_KFunction k) {
  struct semaphore *semaphore = lua_touserdata(L, 1);
  if (semaphore->permits == 0) return sync_park(L, &semaphore->waiting, what, SYNC_FOREVER, k);
  semaphore->permits--;
  return k(L, LUA_OK, SYNC_FOREVER);
}

static int acquired(lua_State *L, int status, lua_KContext context) {
  (void)context;
  end_wait(L, status);
  return 0;
}

static int acquire_paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return take(L, "semaphore:acquire", acquired);
}

static int acquire(lua_State *L) {
  sync_check(L, CLASS, "acquire");
  if (fiber_must_pause(L)) return fiber_pause(L, "semaphore:acquire", 0, acquire_paused);
  return take(L, "semaphore:acquire", acquired);
}

static int release(lua_State *L) {
  struct semaphore *semaphore = sync_check(L, CLASS, "release");
  if (semaphore->permits >= SEMAPHORE_PERMITS_MAX)
    return luaL_error(L, "a semaphore has at most %d permits", SEMAPHORE_PERMITS_MAX);
  give_back(semaphore);
  return 0;
}

/* ---- with; stack: the semaphore, the permit, the message handler, fn and its arguments ---- */

enum { AT_PERMIT = 2, AT_HANDLER, AT_FUNCTION };

static int with_ended(lua_State *L, int status, lua_KContext context) {
  (void)context;
  release_permit(lua_touserdata(L, AT_PERMIT));
  if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
  return lua_gettop(L) - AT_HANDLER;
}

static int call(lua_State *L, int status, lua_KContext context) {
  end_wait(L, status);
  struct permit *permit = lua_touserdata(L, AT_PERMIT);
  permit->is_held = true;
  int nargs = lua_gettop(L) - AT_FUNCTION;
  status = lua_pcallk(L, nargs, LUA_MULTRET, AT_HANDLER, context, with_ended);
  return with_ended(L, status, context);
}

static int with_paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return take(L, "semaphore:with", call);
}

static int with(lua_State *L) {
  struct semaphore *semaphore = sync_check(L, CLASS, "with");
  luaL_checktype(L, 2, LUA_TFUNCTION);
  struct permit *permit = sync_push(L, sizeof *permit, SYNC_PART_CLASS);
  permit->semaphore = semaphore;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_insert(L, AT_PERMIT);
  lua_pushcfunction(L, fiber_save_trail);
  lua_insert(L, AT_HANDLER);
  lua_toclose(L, AT_PERMIT);
  if (fiber_must_pause(L)) return fiber_pause(L, "semaphore:with", 0, with_paused);
  return take(L, "semaphore:with", call);
}

/* ---- the classes ---- */

static int close_permit(lua_State *L) {
  release_permit(sync_check(L, "permit", "close"));
  return 0;
}

static int describe(lua_State *L) {
  const struct semaphore *semaphore = sync_check(L, CLASS, "__tostring");
  lua_pushfstring(L, "semaphore: %I free", (LUAI_UACINT)semaphore->permits);
  sync_add_waiting(L, &semaphore->waiting, "");
  return 1;
}

static int create(lua_State *L) {
  lua_Integer permits = luaL_checkinteger(L, 1);
  luaL_argcheck(L, permits >= 0 && permits <= SEMAPHORE_PERMITS_MAX, 1,
                lua_pushfstring(L, "a whole number from 0 to %d expected, got %I",
                                SEMAPHORE_PERMITS_MAX, (LUAI_UACINT)permits));
  struct semaphore *semaphore = sync_push(L, sizeof *semaphore, SYNC_OWN_CLASS);
  list_init(&semaphore->waiting);
  semaphore->permits = permits;
  return 1;
}

void semaphore_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"acquire", acquire},
                                     {"release", release},
                                     {"with", with},
                                     {"__tostring", describe},
                                     {NULL, NULL}};
  static const luaL_Reg permit_methods[] = {
      {"__close", close_permit}, {"__gc", close_permit}, {NULL, NULL}};
  sync_push_class(L, "permit", permit_methods, 0);
  sync_push_class(L, CLASS, methods, 1);
  sync_add_constructor(L, CLASS, create);
}
