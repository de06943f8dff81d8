/* once.c - gates, stores and closers.
 *
 * The closers of a request are a list in the registry, by the address of its source, or of the
 * run of a call that got a copy of it. The list's field `run` is what calls them. */
#include "lib/once.h"

#include "core/call_run.h"
#include "core/fiber.h"
#include "core/worker.h"
#include "lib/req.h"

#include <lauxlib.h>

#define GATE_CLASS "perilune.gate"

static const char stores_key, lists_key;

/* Where a list of closers has the id of its request. */
enum { LIST_REQUEST = 0 };

/* ---- gates: what waits at one goes on when it is opened ---- */

static struct list *check_gate(lua_State *L) {
  return luaL_checkudata(L, 1, GATE_CLASS);
}

static int gate(lua_State *L) {
  struct list *waiting = lua_newuserdatauv(L, sizeof *waiting, 0);
  list_init(waiting);
  luaL_setmetatable(L, GATE_CLASS);
  return 1;
}

static int waited(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return 0;
}

static int wait_at_gate(lua_State *L) {
  struct list *waiting = check_gate(L);
  struct fiber *fiber = fiber_begin_wait(L, "req:once");
  return fiber_park_inside(L, fiber, waiting, "req:once", 0, waited);
}

static int open_gate(lua_State *L) {
  fiber_wake_all(check_gate(L));
  return 0;
}

/* ---- stores ---- */

static bool is_over(lua_State *L, const struct req_origin *origin) {
  if (!origin->is_here) return !call_run_find(L);
  return origin->source->number != origin->number;
}

/* store(req) -> its table of values; nil when the request is over */
static int store(lua_State *L) {
  struct req_origin origin = req_find_origin(L, 1, "once");
  if (is_over(L, &origin)) return 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &stores_key);
  lua_pushvalue(L, 1);
  if (lua_rawget(L, -2) == LUA_TTABLE) return 1;
  lua_newtable(L);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -2);
  lua_rawset(L, -5);
  return 1;
}

/* closers(req, run) -> the list of what is closed at the end of its request or call */
static int closers(lua_State *L) {
  struct req_origin origin = req_find_origin(L, 1, "once");
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &lists_key);
  const struct fiber *fiber = fiber_running(L);
  const void *key = origin.is_here ? (const void *)origin.source : fiber->run;
  if (lua_rawgetp(L, -1, key) == LUA_TTABLE) return 1;
  lua_newtable(L);
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "run");
  lua_pushinteger(L, fiber ? (lua_Integer)fiber->request : 0);
  lua_rawseti(L, -2, LIST_REQUEST);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, -4, key);
  if (origin.is_here) origin.source->has_closers = true;
  return 1;
}

/* running() -> what stands for the running task */
static int running(lua_State *L) {
  lua_pushlightuserdata(L, fiber_running(L));
  return 1;
}

/* ---- the end ---- */

static int closed(lua_State *L, int status, lua_KContext context) {
  (void)L;
  (void)status;
  (void)context;
  return 0;
}

/* close_all(key) */
int once_close_all(lua_State *L) {
  const void *key = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &lists_key);
  lua_rawgetp(L, -1, key);
  lua_pushnil(L);
  lua_rawsetp(L, -3, key);
  lua_getfield(L, -1, "run");
  lua_insert(L, -2);
  lua_callk(L, 1, 0, 0, closed);
  return 0;
}

/* Looks without allocating, since no protected call is around; gives the id of the request too. */
static bool find_list(lua_State *L, const void *key, uint64_t *request) {
  int top = lua_gettop(L);
  bool found = lua_rawgetp(L, LUA_REGISTRYINDEX, &lists_key) == LUA_TTABLE &&
               lua_rawgetp(L, -1, key) == LUA_TTABLE;
  if (found) {
    lua_rawgeti(L, -1, LIST_REQUEST);
    *request = (uint64_t)lua_tointeger(L, -1);
  }
  lua_settop(L, top);
  return found;
}

/* The fiber that closes what is listed by a key; NULL: there is nothing to close, or no memory, and
 * the values go with the state. */
static struct fiber *start_closing(struct worker *worker, void *key, const struct fiber_kind *kind,
                                   void *data) {
  uint64_t request;
  if (!find_list(worker->L, key, &request)) return NULL;
  struct fiber *fiber = fiber_create(worker, kind);
  if (!fiber) return NULL;
  fiber->data = data;
  fiber->name = "req:once";
  fiber->request = request;
  lua_pushlightuserdata(fiber->co, key);
  fiber_start(fiber, 1);
  return fiber;
}

bool once_start_closing(struct worker *worker, struct req_source *source,
                        const struct fiber_kind *kind, void *data) {
  if (!source->has_closers) return false;
  source->has_closers = false;
  struct fiber *fiber = start_closing(worker, source, kind, data);
  if (fiber) fiber->timers = source->timers;
  return fiber != NULL;
}

bool once_start_closing_run(struct call_run *run, struct worker *worker,
                            const struct fiber_kind *kind, void *data) {
  struct fiber *fiber = start_closing(worker, run, kind, data);
  if (fiber) call_run_give(fiber, run);
  return fiber != NULL;
}

bool once_is_closing(const struct worker *worker) {
  const struct list *fibers = &worker->fibers;
  for (const struct list *link = fibers->next; link != fibers; link = link->next) {
    if (container_of(link, struct fiber, live)->kind->entry == once_close_all) return true;
  }
  return false;
}

/* install(fn): the method `once` of every req of this state */
static int install(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  req_add_method(L, "once");
  return 0;
}

static void push_weak_table(lua_State *L, const char *mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

int once_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"gate", gate},       {"store", store},
                                       {"closers", closers}, {"running", running},
                                       {"install", install}, {NULL, NULL}};
  static const luaL_Reg gate_methods[] = {
      {"wait", wait_at_gate}, {"open", open_gate}, {NULL, NULL}};
  push_weak_table(L, "k");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &stores_key);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &lists_key);
  luaL_newmetatable(L, GATE_CLASS);
  luaL_newlib(L, gate_methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
