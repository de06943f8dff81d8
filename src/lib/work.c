/* work.c - the box, the wait and the end.
 *
 * In a cancelled scope nothing is started: the wait ends at once. The same holds in the pool,
 * where the code runs without any wait. */
#include "lib/work.h"

#include "core/worker.h"

#include <lauxlib.h>

#define CLASS_WORK "perilune.work"

/* Lets go of what the box has, if anything. */
static void empty(struct work **box) {
  struct work *work = *box;
  *box = NULL;
  if (!work) return;
  atomic_store(&work->given_up, true);
  offload_drop(&work->offload);
}

static int release(lua_State *L) {
  empty(lua_touserdata(L, 1));
  return 0;
}

void *work_push(lua_State *L, size_t bytes, void (*run)(struct offload *offload),
                void (*destroy)(struct offload *offload)) {
  struct work **box = lua_newuserdatauv(L, sizeof(struct work *), 0);
  *box = NULL;
  if (luaL_newmetatable(L, CLASS_WORK)) {
    lua_pushcfunction(L, release);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  struct work *work = *box = memory_alloc_zero(bytes);
  offload_init(&work->offload, run, destroy);
  return work;
}

static lua_nret finish(lua_State *L, struct work **box) {
  lua_nret count = (*box)->_end(L, *box);
  empty(box);
  return count == WORK_FAILED ? lua_error(L) : count;
}

static int waited(lua_State *L, int status, lua_KContext at) {
  struct work **box = lua_touserdata(L, (int)at);
  (void)status;
  if (fiber_was_cancelled(L)) empty(box);
  fiber_check_cancelled(L);
  return finish(L, box);
}

static lua_nret start(lua_State *L, int at) {
  struct work **box = lua_touserdata(L, at), *work = *box;
  offload_start(&work->offload, worker_of(L));
  if (!work->offload.running) return finish(L, box);
  return offload_wait(L, fiber_running(L), &work->offload, work->_what, at, waited);
}

static int paused(lua_State *L, int status, lua_KContext at) {
  (void)status;
  fiber_check_cancelled(L);
  return start(L, (int)at);
}

lua_nret work_run(lua_State *L, const char *what,
                  lua_nret (*end)(lua_State *L, struct work *work)) {
  int at = lua_gettop(L);
  struct work *work = *(struct work **)lua_touserdata(L, at);
  work->_what = what;
  work->_end = end;
  fiber_begin_wait(L, what);
  if (fiber_must_pause(L)) return fiber_pause(L, what, at, paused);
  return start(L, at);
}
