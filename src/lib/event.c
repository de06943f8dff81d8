/* event.c - a flag, and the fibers that wait for it to be set.
 *
 * Those that wait are handed `true`, the result of wait(): a continuation that finds none was woken
 * by its time limit. */
#include "lib/event.h"

#include "core/error.h"
#include "lib/sync.h"

#define CLASS "event"

struct event {
  struct list waiting; /* fiber.link; nobody while it is set */
  bool is_set;
};

/* Registry key: the constructor. */
static const char constructor_key = 0;

static void set_it(struct event *event) {
  struct fiber *first;
  event->is_set = true;
  while ((first = sync_first(&event->waiting))) {
    lua_pushboolean(first->parked_co, 1);
    sync_wake(first);
  }
}

static int set(lua_State *L) {
  set_it(sync_check(L, CLASS, "set"));
  return 0;
}

void event_set(lua_State *L, int index) {
  set_it(lua_touserdata(L, index));
}

static int clear(lua_State *L) {
  struct event *event = sync_check(L, CLASS, "clear");
  event->is_set = false;
  return 0;
}

static int is_set(lua_State *L) {
  const struct event *event = sync_check(L, CLASS, "is_set");
  lua_pushboolean(L, event->is_set);
  return 1;
}

/* ---- wait; stack: the event ---- */

static int waited(lua_State *L, int status, lua_KContext limit_ns) {
  (void)status;
  (void)limit_ns;
  sync_end_wait(L);
  if (lua_gettop(L) == 1) error_raise(L, "timeout", "the event was not set in time");
  return 1;
}

static int wait_now(lua_State *L, struct event *event, lua_KContext limit_ns) {
  if (!event->is_set) return sync_park(L, &event->waiting, "event:wait", limit_ns, waited);
  lua_pushboolean(L, 1);
  return 1;
}

static int wait_paused(lua_State *L, int status, lua_KContext limit_ns) {
  (void)status;
  fiber_check_cancelled(L);
  return wait_now(L, lua_touserdata(L, 1), limit_ns);
}

static int wait_for_event(lua_State *L) {
  struct event *event = sync_check(L, CLASS, "wait");
  lua_KContext limit_ns = sync_check_limit(L, 2);
  lua_settop(L, 1);
  if (fiber_must_pause(L)) return fiber_pause(L, "event:wait", limit_ns, wait_paused);
  return wait_now(L, event, limit_ns);
}

/* ---- the class ---- */

static int describe(lua_State *L) {
  const struct event *event = sync_check(L, CLASS, "__tostring");
  lua_pushstring(L, event->is_set ? "event: set" : "event: not set");
  sync_add_waiting(L, &event->waiting, "");
  return 1;
}

static int create(lua_State *L) {
  struct event *event = sync_push(L, sizeof *event, SYNC_OWN_CLASS);
  list_init(&event->waiting);
  return 1;
}

void event_push(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &constructor_key);
  lua_call(L, 0, 1);
}

void event_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"set", set},
                                     {"clear", clear},
                                     {"is_set", is_set},
                                     {"wait", wait_for_event},
                                     {"__tostring", describe},
                                     {NULL, NULL}};
  sync_push_class(L, CLASS, methods, 0);
  sync_add_constructor(L, CLASS, create);
  lua_getfield(L, -1, CLASS);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &constructor_key);
}
