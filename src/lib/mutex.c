/* mutex.c - a lock that is held by a guard.
 *
 * A guard is made before its fiber waits, and lies on top of the stack of the coroutine that does:
 * there the one that unlocks finds the next holder. So the lock always has a holder that unlocks
 * when it is collected, whatever becomes of the fiber. */
#include "lib/mutex.h"

#include "lib/sync.h"

#define CLASS "mutex"

struct guard;

struct mutex {
  struct list waiting; /* fiber.link; nobody while it is free */
  struct guard *holder;
};

struct guard {
  struct mutex *mutex; /* user value 1 keeps it */
  struct fiber *fiber; /* that locked, in that life; NULL outside of any */
  uint32_t life;
};

enum { AT_GUARD = 2 };

static void unlock(struct guard *guard) {
  struct mutex *mutex = guard->mutex;
  if (mutex->holder != guard) return;
  struct fiber *first = sync_first(&mutex->waiting);
  mutex->holder = first ? lua_touserdata(first->parked_co, AT_GUARD) : NULL;
  if (first) sync_wake(first);
}

/* ---- lock; stack: the mutex, the guard ---- */

static struct guard *push_guard(lua_State *L, struct mutex *mutex) {
  struct fiber *fiber = fiber_running(L);
  struct guard *guard = sync_push(L, sizeof *guard, SYNC_PART_CLASS);
  *guard = (struct guard){.mutex = mutex, .fiber = fiber, .life = fiber ? fiber->life : 0};
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return guard;
}

static bool is_of_same_fiber(const struct guard *a, const struct guard *b) {
  return a->fiber && a->fiber == b->fiber && a->life == b->life;
}

static int locked(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct guard *guard = lua_touserdata(L, AT_GUARD);
  struct fiber *fiber = sync_end_wait(L);
  if (!fiber->cancelled) return 1;
  unlock(guard);
  fiber_raise_cancelled(L, scope_find_cancelled(fiber));
}

static int lock_now(lua_State *L, struct guard *guard) {
  struct mutex *mutex = guard->mutex;
  if (mutex->holder) {
    if (is_of_same_fiber(guard, mutex->holder))
      return luaL_error(L, "mutex:lock would wait for itself: this task holds it already");
    return sync_park(L, &mutex->waiting, "mutex:lock", SYNC_FOREVER, locked);
  }
  mutex->holder = guard;
  return 1;
}

static int lock_paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return lock_now(L, lua_touserdata(L, AT_GUARD));
}

static int lock(lua_State *L) {
  struct mutex *mutex = sync_check(L, CLASS, "lock");
  lua_settop(L, 1);
  struct guard *guard = push_guard(L, mutex);
  if (fiber_must_pause(L)) return fiber_pause(L, "mutex:lock", 0, lock_paused);
  return lock_now(L, guard);
}

/* ---- the classes ---- */

static int unlock_guard(lua_State *L) {
  unlock(sync_check(L, "guard", "unlock"));
  return 0;
}

static int describe_guard(lua_State *L) {
  const struct guard *guard = sync_check(L, "guard", "__tostring");
  lua_pushstring(L, guard->mutex->holder == guard ? "guard: locked" : "guard: unlocked");
  return 1;
}

static int describe(lua_State *L) {
  const struct mutex *mutex = sync_check(L, CLASS, "__tostring");
  lua_pushstring(L, mutex->holder ? "mutex: locked" : "mutex: free");
  sync_add_waiting(L, &mutex->waiting, "");
  return 1;
}

static int create(lua_State *L) {
  struct mutex *mutex = sync_push(L, sizeof *mutex, SYNC_OWN_CLASS);
  list_init(&mutex->waiting);
  return 1;
}

void mutex_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"lock", lock}, {"__tostring", describe}, {NULL, NULL}};
  static const luaL_Reg guard_methods[] = {{"unlock", unlock_guard},
                                           {"__close", unlock_guard},
                                           {"__gc", unlock_guard},
                                           {"__tostring", describe_guard},
                                           {NULL, NULL}};
  sync_push_class(L, "guard", guard_methods, 0);
  sync_push_class(L, CLASS, methods, 1);
  sync_add_constructor(L, CLASS, create);
}
