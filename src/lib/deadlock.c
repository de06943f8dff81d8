/* deadlock.c - the look at the end of a turn, the report, and the guard.
 *
 * What comes from outside without a fiber that waits for it (a connection, a message of a call that
 * was given up) may end a deadlock: so it has to last for DEADLOCK_MS with nothing run. */
#include "lib/deadlock.h"

#include "base/limits.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/worker.h"
#include "lib/running.h"

#include <lauxlib.h>

#define DEADLOCK    "deadlock: every task waits for another one"
#define STANDSTILL  "nothing goes on: nobody advances the clock (client.clock:advance(seconds))"
#define SCOPE_CLASS "perilune.deadlock.scope"

/* Registry key: the struct deadlock of the state. */
static const char deadlock_key = 0;

/* ---- looking ---- */

/* Whether a clock that goes on will wake the fiber, or end a scope of it. */
static bool waits_for_time(const struct fiber *fiber) {
  if (timer_is_started(&fiber->timer) && clock_goes_on(fiber->timers)) return true;
  for (const struct scope *scope = fiber->scope; scope; scope = scope->outer) {
    const struct timers *timers = scope_find_clock(scope);
    if (timers && clock_goes_on(timers)) return true;
  }
  return false;
}

/* Fibers that have not started wait for others to start them. Where nothing is on its way but
 * time, which stands still, it does not matter what a fiber waits for. */
static bool is_stuck(const struct fiber *fiber, bool time_is_all) {
  if (fiber->state == FIBER_NEW) return true;
  if (fiber->state != FIBER_PARKED || waits_for_time(fiber)) return false;
  return time_is_all || fiber->waits_inside || timer_is_started(&fiber->timer);
}

static bool is_reached(struct deadlock *deadlock, bool is_idle) {
  const struct worker *worker = deadlock->worker;
  const struct list *fibers = &worker->fibers;
  if (!list_is_empty(&worker->ready) || worker->again) return false;
  bool time_is_all = is_idle && clock_is_awaited(worker);
  deadlock->stands_still = time_is_all;
  for (const struct list *link = fibers->next; link != fibers; link = link->next)
    if (!is_stuck(container_of(link, const struct fiber, live), time_is_all)) return false;
  return !list_is_empty(fibers);
}

/* ---- the report ---- */

/* report(fiber, title) -> the text, which begins with the line that the fiber is on */
static int report(lua_State *L) {
  const struct list *fibers = &worker_of(L)->fibers;
  struct fiber *guarded = lua_touserdata(L, 1);
  const char *title = lua_touserdata(L, 2);
  luaL_Buffer text;
  lua_settop(L, 0);
  if (guarded) running_push_line(L, guarded);
  const char *line = lua_tostring(L, 1);
  luaL_buffinit(L, &text);
  if (line) {
    luaL_addstring(&text, line);
    luaL_addstring(&text, ": ");
  }
  luaL_addstring(&text, title);
  int count = 0;
  for (struct list *link = fibers->next; link != fibers; link = link->next) {
    struct fiber *fiber = container_of(link, struct fiber, live);
    if (fiber->state != FIBER_PARKED || ++count > DEADLOCK_ROWS_MAX) continue;
    luaL_addstring(&text, "\n  ");
    running_push_wait(L, fiber);
    luaL_addvalue(&text);
  }
  if (count > DEADLOCK_ROWS_MAX) {
    lua_pushfstring(L, "\n  and %d more", count - DEADLOCK_ROWS_MAX);
    luaL_addvalue(&text);
  }
  luaL_pushresult(&text);
  return 1;
}

static void break_up(struct deadlock *deadlock) {
  static const char deadlocked[] = DEADLOCK, standing[] = STANDSTILL;
  const char *title = deadlock->stands_still ? standing : deadlocked;
  lua_State *L = deadlock->worker->L;
  lua_pushcfunction(L, report);
  lua_pushlightuserdata(L, deadlock->guard ? deadlock->guard->fiber : NULL);
  lua_pushlightuserdata(L, (void *)title);
  const char *text = lua_pcall(L, 2, 1, 0) == LUA_OK ? lua_tostring(L, -1) : title;
  if (deadlock->guard)
    scope_cancel(deadlock->guard, text);
  else
    worker_cancel_all(deadlock->worker, text);
  lua_pop(L, 1);
}

static void come_due(struct timer *timer) {
  container_of(timer, struct deadlock, timer)->is_due = true;
}

void deadlock_look(struct deadlock *deadlock, bool is_idle) {
  struct worker *worker = deadlock->worker;
  uint64_t resume = atomic_load_explicit(&worker->heartbeat.resume, memory_order_relaxed);
  if (!is_reached(deadlock, is_idle)) {
    deadlock->is_due = false;
    timer_stop(&worker->timers, &deadlock->timer);
    return;
  }
  if (deadlock->is_due && resume == deadlock->resume) {
    deadlock->is_due = false;
    break_up(deadlock);
    return;
  }
  if (timer_is_started(&deadlock->timer) && resume == deadlock->resume) return;
  deadlock->resume = resume;
  uint64_t due_ns = timers_now(&worker->timers) + DEADLOCK_MS * NS_PER_MS;
  timer_start(&worker->timers, &deadlock->timer, due_ns, come_due);
}

/* ---- the guard; stack: 1 the scope, then results or the error ---- */

struct guard {
  struct scope scope;
  struct deadlock *deadlock;
  struct scope *before;
};

static void leave(struct guard *guard) {
  if (guard->deadlock && guard->deadlock->guard == &guard->scope)
    guard->deadlock->guard = guard->before;
  guard->deadlock = NULL;
  scope_pop(&guard->scope);
}

static int release(lua_State *L) {
  leave(lua_touserdata(L, 1));
  return 0;
}

static int guarded(lua_State *L, int status, lua_KContext context) {
  struct guard *guard = lua_touserdata(L, 1);
  (void)context;
  if (guard->scope.cause == SCOPE_CANCELLED) {
    error_push(L, "deadlock", "%s", guard->scope.reason);
    leave(guard);
    return lua_error(L);
  }
  leave(guard);
  if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
  return lua_gettop(L) - 1;
}

static int guard_call(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct guard *guard = lua_newuserdatauv(L, sizeof *guard, 0);
  *guard = (struct guard){0};
  luaL_setmetatable(L, SCOPE_CLASS);
  lua_insert(L, 1);
  lua_toclose(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &deadlock_key);
  guard->deadlock = lua_touserdata(L, -1);
  lua_pop(L, 1);
  scope_push(fiber_running(L), &guard->scope, 0, false);
  if (guard->deadlock) {
    guard->before = guard->deadlock->guard;
    guard->deadlock->guard = &guard->scope;
  }
  return guarded(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, guarded), 0);
}

void deadlock_open(lua_State *L, struct deadlock *deadlock) {
  lua_pushlightuserdata(L, deadlock);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &deadlock_key);
}

int deadlock_module_open(lua_State *L) {
  luaL_newmetatable(L, SCOPE_CLASS);
  lua_pushcfunction(L, release);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, release);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, guard_call);
  lua_setfield(L, -2, "guard");
  return 1;
}
