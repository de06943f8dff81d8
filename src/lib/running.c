/* running.c - looks at the fibers of a worker.
 *
 * The line a fiber is on, and the object that it waits at, are read from its coroutine's stack,
 * which stands still while somebody else looks. */
#include "lib/running.h"

#include "core/class.h"
#include "core/fiber.h"
#include "core/worker.h"
#include "lib/req.h"
#include "lib/task.h"

#include <lauxlib.h>

static const char *state_name(enum fiber_state state) {
  switch (state) {
  case FIBER_NEW:
    return "new";
  case FIBER_READY:
    return "ready";
  case FIBER_RUNNING:
    return "running";
  case FIBER_PARKED:
    return "waiting";
  case FIBER_IDLE:
  case FIBER_ENDED:
    return "ended";
  }
  return "";
}

/* Pushes "file:line" of the innermost Lua function of `co`, or gives false. */
static bool push_line(lua_State *L, lua_State *co) {
  lua_Debug debug;
  for (int level = 0; lua_getstack(co, level, &debug); level++) {
    lua_getinfo(co, "Sl", &debug);
    if (debug.currentline <= 0) continue;
    lua_pushfstring(L, "%s:%d", debug.short_src, debug.currentline);
    return true;
  }
  return false;
}

void running_push_line(lua_State *L, struct fiber *fiber) {
  if (!push_line(L, fiber->state == FIBER_RUNNING ? L : fiber->parked_co)) lua_pushnil(L);
}

/* Pushes where the fiber is, or, before it starts, where its function is; nil when neither is
 * known. `task` is the index of its task, 0: it has none. */
static void push_source(lua_State *L, struct fiber *fiber, int task) {
  lua_Debug debug;
  running_push_line(L, fiber);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  if (!task || lua_getiuservalue(L, task, TASK_VALUE_FUNCTION) != LUA_TFUNCTION) {
    lua_pushnil(L);
    return;
  }
  lua_getinfo(L, ">S", &debug);
  lua_pushfstring(L, "%s:%d", debug.short_src, debug.linedefined);
}

/* Pushes the task of a fiber and gives its index, or 0. */
static int push_task(lua_State *L, struct fiber *fiber) {
  return task_push_of(L, fiber) ? lua_gettop(L) : 0;
}

static void push_name(lua_State *L, const struct fiber *fiber, int task) {
  if (task)
    task_push_name(L, task);
  else
    lua_pushstring(L, fiber->name ? fiber->name : "?");
}

static void push_id(lua_State *L, const struct fiber *fiber, int task) {
  char id[17];
  if (task) {
    lua_getfield(L, task, "id");
    return;
  }
  req_format_id(id, fiber->request);
  lua_pushstring(L, fiber->request ? id : NULL);
}

/* Pushes the row of a fiber. */
static void push_row(lua_State *L, struct fiber *fiber) {
  int task = push_task(L, fiber);
  lua_createtable(L, 0, 6);
  push_id(L, fiber, task);
  lua_setfield(L, -2, "id");
  push_name(L, fiber, task);
  lua_setfield(L, -2, "name");
  uint64_t age_ns = uv_hrtime() - fiber->created_ns;
  lua_pushnumber(L, (lua_Number)age_ns / (lua_Number)NS_PER_SECOND);
  lua_setfield(L, -2, "age");
  bool is_new = task && task_at(L, task)->status == TASK_WAITING;
  lua_pushstring(L, state_name(is_new ? FIBER_NEW : fiber->state));
  lua_setfield(L, -2, "state");
  lua_pushstring(L, fiber->waits_for);
  lua_setfield(L, -2, "waits_for");
  push_source(L, fiber, task);
  lua_setfield(L, -2, "source");
  if (task) lua_remove(L, task);
}

int running(lua_State *L) {
  struct list *fibers = &worker_of(L)->fibers;
  lua_settop(L, 0);
  lua_newtable(L);
  class_set_array(L, -1);
  lua_Integer count = 0;
  for (struct list *link = fibers->next; link != fibers; link = link->next) {
    push_row(L, container_of(link, struct fiber, live));
    lua_rawseti(L, 1, ++count);
  }
  return 1;
}

/* Pushes the text of what the waiting C function was called with, or gives false. */
static bool push_object(lua_State *L, lua_State *co) {
  lua_Debug debug;
  if (!lua_getstack(co, 0, &debug) || !lua_getlocal(co, &debug, 1)) return false;
  lua_xmove(co, L, 1);
  if (lua_type(L, -1) != LUA_TUSERDATA || luaL_getmetafield(L, -1, "__tostring") == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  lua_pop(L, 1);
  luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
  return true;
}

void running_push_wait(lua_State *L, struct fiber *fiber) {
  int first = lua_gettop(L) + 1;
  luaL_checkstack(L, 12, "report");
  int task = push_task(L, fiber);
  lua_pushliteral(L, "");
  push_name(L, fiber, task);
  lua_pushfstring(L, "%s waits in %s", lua_tostring(L, -1), fiber->waits_for);
  if (push_object(L, fiber->parked_co)) {
    lua_pushfstring(L, "%s for %s", lua_tostring(L, -2), lua_tostring(L, -1));
    lua_remove(L, -2);
  }
  push_source(L, fiber, task);
  if (lua_isstring(L, -1))
    lua_pushfstring(L, "%s, at %s", lua_tostring(L, -2), lua_tostring(L, -1));
  else
    lua_pop(L, 1);
  lua_replace(L, first);
  lua_settop(L, first);
}
