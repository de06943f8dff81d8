/* coroutine.c - the app's own coroutines, and protected calls that know interruptions.
 *
 * Each coroutine's body runs under lua_pcallk in a trampoline, as a fiber's does: base `<close>`
 * handlers may wait, and no error ends lua_resume. A wait and a yield of the app look the same to
 * lua_resume; the state of the fiber tells them apart. */
#include "core/coroutine.h"

#include "core/fiber.h"
#include "core/state.h"
#include "core/worker.h"

#include <lauxlib.h>
#include <stdlib.h>

/* Registry key: scopes that a suspended coroutine holds open, by coroutine (weak keys). */
static const char open_scopes_key = 0;

/* ---- the body ---- */

static int body_ended(lua_State *L, int status, lua_KContext context) {
  (void)context;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 1;
  state_set_failed(L);
  return 1;
}

/* Upvalue 1: the function; the arguments are on the stack. */
static int trampoline(lua_State *L) {
  lua_pushcfunction(L, fiber_save_trail);
  lua_insert(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 2);
  return body_ended(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, body_ended), 0);
}

static int create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, trampoline, 1);
  lua_xmove(L, co, 1);
  return 1;
}

/* ---- scopes that a suspended coroutine holds open ---- */

static void push_open_scopes(lua_State *L, lua_State *co) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &open_scopes_key);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
}

static void keep_scopes(lua_State *L, lua_State *co, struct scope *innermost) {
  push_open_scopes(L, co);
  lua_pushlightuserdata(L, innermost);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static void restore_scopes(lua_State *L, lua_State *co, struct fiber *fiber) {
  push_open_scopes(L, co);
  lua_rawget(L, -2);
  struct scope *innermost = lua_touserdata(L, -1);
  lua_pop(L, 2);
  if (!innermost) return;
  keep_scopes(L, co, NULL);
  scope_attach(fiber, innermost);
}

/* ---- resuming ---- */

static const char *status_of(lua_State *L, lua_State *co) {
  if (L == co) return "running";
  if (state_is_waiting(co)) return "normal";
  lua_Debug debug;
  switch (lua_status(co)) {
  case LUA_YIELD:
    return "suspended";
  case LUA_OK:
    if (lua_getstack(co, 0, &debug)) return "normal";
    return lua_gettop(co) == 0 || state_is_failed(co) ? "dead" : "suspended";
  default:
    return "dead";
  }
}

static lua_State *check_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

/* The name of the task whose wait is in `co`; "?" when it has none, or waits further inside. */
static const char *waiting_task(lua_State *co) {
  const struct list *fibers = &worker_of(co)->fibers;
  for (const struct list *link = fibers->next; link != fibers; link = link->next) {
    const struct fiber *fiber = container_of(link, const struct fiber, live);
    if ((fiber->parked_co == co || fiber->co == co) && fiber->name) return fiber->name;
  }
  return "?";
}

/* Pushes why `co` cannot be resumed and gives false, or true. */
static bool may_resume(lua_State *L, lua_State *co, int nargs) {
  if (state_is_waiting(co)) {
    lua_pushfstring(L, "cannot resume a coroutine that is waiting in task %s", waiting_task(co));
    return false;
  }
  const char *status = status_of(L, co);
  if (*status != 's') {
    lua_pushfstring(L, "cannot resume %s coroutine", *status == 'd' ? "dead" : "non-suspended");
    return false;
  }
  if (!lua_checkstack(co, nargs + 1)) {
    lua_pushliteral(L, "too many arguments to resume");
    return false;
  }
  return true;
}

enum { RESUME_FAILED = -1, RESUME_WAITS = -2 };

/* Goes on with `co`, `nargs` values on its stack. Gives the number of results, now on L's stack,
 * or RESUME_FAILED with the error there, or RESUME_WAITS: the fiber has to be suspended. */
static int go_on(lua_State *L, lua_State *co, int nargs) {
  struct fiber *fiber = fiber_running(L);
  if (fiber && lua_status(co) == LUA_YIELD && !state_is_waiting(co)) restore_scopes(L, co, fiber);
  state_set_waiting(co, false);
  int nresults = 0;
  int status = fiber_resume_nested(L, co, nargs, &nresults);
  if (status == LUA_YIELD && fiber && fiber->state != FIBER_RUNNING) {
    state_set_waiting(co, true);
    return RESUME_WAITS;
  }
  if (status == LUA_YIELD && fiber) {
    struct scope *innermost = scope_detach(fiber, co);
    if (innermost) keep_scopes(L, co, innermost);
  }
  if (status > LUA_YIELD || state_is_failed(co)) {
    lua_xmove(co, L, 1);
    return RESUME_FAILED;
  }
  if (!lua_checkstack(L, nresults + 1)) {
    lua_pop(co, nresults);
    lua_pushliteral(L, "too many results to resume");
    return RESUME_FAILED;
  }
  lua_xmove(co, L, nresults);
  return nresults;
}

/* While the interrupted scope of the running fiber lasts, its error is not for Lua to keep. */
static void pass_interruption(lua_State *L, lua_KContext interrupts_before) {
  struct fiber *fiber = fiber_running(L);
  if (!fiber || !fiber->interrupted) return;
  if (fiber->interrupted_at > (unsigned)interrupts_before)
    fiber_raise_cancelled(L, fiber->interrupted);
}

static lua_KContext interrupts_so_far(lua_State *L) {
  const struct fiber *fiber = fiber_running(L);
  return fiber ? (lua_KContext)fiber->interrupts : 0;
}

static int resume_ended(lua_State *L, lua_State *co, int nresults, lua_KContext before);

static int resume_woken(lua_State *L, int status, lua_KContext before) {
  (void)status;
  lua_State *co = lua_tothread(L, 1);
  return resume_ended(L, co, go_on(L, co, 0), before);
}

/* Stack: the coroutine at 1; results or error on top. */
static int resume_ended(lua_State *L, lua_State *co, int nresults, lua_KContext before) {
  (void)co;
  if (nresults == RESUME_WAITS) return lua_yieldk(L, 0, before, resume_woken);
  if (nresults == RESUME_FAILED) {
    pass_interruption(L, before);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  lua_pushboolean(L, 1);
  lua_insert(L, -(nresults + 1));
  return nresults + 1;
}

static int resume(lua_State *L) {
  lua_State *co = check_coroutine(L);
  lua_KContext before = interrupts_so_far(L);
  int nargs = lua_gettop(L) - 1;
  if (!may_resume(L, co, nargs)) {
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  lua_xmove(L, co, nargs);
  return resume_ended(L, co, go_on(L, co, nargs), before);
}

static int wrap_ended(lua_State *L, int nresults, lua_KContext before);

static int wrap_woken(lua_State *L, int status, lua_KContext before) {
  (void)status;
  return wrap_ended(L, go_on(L, lua_tothread(L, lua_upvalueindex(1)), 0), before);
}

/* Upvalue 1: the coroutine. */
static int wrap_ended(lua_State *L, int nresults, lua_KContext before) {
  if (nresults == RESUME_WAITS) return lua_yieldk(L, 0, before, wrap_woken);
  if (nresults != RESUME_FAILED) return nresults;
  pass_interruption(L, before);
  return lua_error(L);
}

static int wrap_call(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  lua_KContext before = interrupts_so_far(L);
  int nargs = lua_gettop(L);
  if (!may_resume(L, co, nargs)) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
    return lua_error(L);
  }
  lua_xmove(L, co, nargs);
  return wrap_ended(L, go_on(L, co, nargs), before);
}

static int wrap(lua_State *L) {
  create(L);
  lua_pushcclosure(L, wrap_call, 1);
  return 1;
}

/* ---- the rest of the library ---- */

static int yield(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  if (fiber && L == fiber->co)
    return luaL_error(L, "coroutine.yield outside of a coroutine of the app: a handler or task "
                         "waits by calling what it waits for (async.sleep, async.checkpoint)");
  return lua_yield(L, lua_gettop(L));
}

static int status(lua_State *L) {
  lua_pushstring(L, status_of(L, check_coroutine(L)));
  return 1;
}

static int running(lua_State *L) {
  int is_main = lua_pushthread(L);
  struct fiber *fiber = fiber_running(L);
  if (fiber && L == fiber->co) fiber->co_given_out = true;
  lua_pushboolean(L, is_main);
  return 2;
}

static int is_yieldable(lua_State *L) {
  lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  const struct fiber *fiber = fiber_running(L);
  lua_pushboolean(L, lua_isyieldable(co) && !(fiber && co == fiber->co));
  return 1;
}

static int close_coroutine(lua_State *L) {
  lua_State *co = check_coroutine(L);
  const char *now = status_of(L, co);
  if (state_is_waiting(co)) return luaL_error(L, "cannot close a coroutine that is waiting");
  if (*now != 's' && *now != 'd') return luaL_error(L, "cannot close a %s coroutine", now);
  lua_KContext before = interrupts_so_far(L);
  if (state_is_failed(co)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (fiber_close_nested(L, co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_xmove(co, L, 1);
  pass_interruption(L, before);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

/* ---- protected calls ---- */

/* Stack: true below the results, or the error on top. */
static int protected_ended(lua_State *L, int status, lua_KContext before) {
  if (LIKELY(status == LUA_OK || status == LUA_YIELD)) return lua_gettop(L);
  pass_interruption(L, before);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

static int protected_call(lua_State *L) {
  luaL_checkany(L, 1);
  lua_KContext before = interrupts_so_far(L);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, before, protected_ended);
  return protected_ended(L, status, before);
}

static int handled_ended(lua_State *L, int status, lua_KContext before) {
  if (LIKELY(status == LUA_OK || status == LUA_YIELD)) return lua_gettop(L) - 2;
  return protected_ended(L, status, before);
}

/* The message handler of xpcall. Upvalues: the app's handler, the interruptions before the call. An
 * interruption is none of its business, and could not end it: hooks are off until it is raised. */
static int handle_error(lua_State *L) {
  const struct fiber *fiber = fiber_running(L);
  unsigned before = (unsigned)lua_tointeger(L, lua_upvalueindex(2));
  if (fiber && fiber->interrupted && fiber->interrupted_at > before) return 1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static int protected_call_handled(lua_State *L) {
  int nargs = lua_gettop(L) - 2;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_KContext before = interrupts_so_far(L);
  lua_pushvalue(L, 2);
  lua_pushinteger(L, (lua_Integer)before);
  lua_pushcclosure(L, handle_error, 2);
  lua_replace(L, 2);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2); /* function, handler, true, function, arguments */
  int status = lua_pcallk(L, nargs, LUA_MULTRET, 2, before, handled_ended);
  return handled_ended(L, status, before);
}

static const luaL_Reg coroutine_functions[] = {{"create", create},
                                               {"resume", resume},
                                               {"wrap", wrap},
                                               {"yield", yield},
                                               {"status", status},
                                               {"running", running},
                                               {"close", close_coroutine},
                                               {"isyieldable", is_yieldable},
                                               {NULL, NULL}};

void coroutine_open(lua_State *L) {
  luaL_newlib(L, coroutine_functions);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "coroutine");
  lua_pop(L, 1);
  lua_setglobal(L, "coroutine");
  lua_register(L, "pcall", protected_call);
  lua_register(L, "xpcall", protected_call_handled);
  lua_newtable(L);
  lua_newtable(L);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &open_scopes_key);
}
