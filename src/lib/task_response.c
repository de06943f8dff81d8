/* task_response.c - the response as a reference of the agenda, then as a value of each task.
 *
 * A task that is done needs its maker no more, so the response takes that slot, which cannot fail;
 * another one needs it for its traceback and has the response among its extras. */
#include "lib/task_response.h"

#include "lib/reply.h"
#include "lib/schedule.h"
#include "lib/task.h"
#include "lib/task_handle.h"

#include <lauxlib.h>

#define FIELD "response"

void task_response_set(lua_State *L, struct agenda *agenda, int index) {
  lua_pushvalue(L, index);
  int reference = luaL_ref(L, LUA_REGISTRYINDEX);
  luaL_unref(L, LUA_REGISTRYINDEX, agenda->response);
  agenda->response = reference;
}

static bool has_response(const struct task *task) {
  return task->agenda && task->agenda->response != LUA_NOREF;
}

void task_response_push(lua_State *L, int index) {
  const struct task *task = lua_touserdata(L, index);
  if (has_response(task))
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->agenda->response);
  else if (task->status == TASK_FAILED || task->status == TASK_CANCELLED)
    task_handle_push_extra(L, index, FIELD);
  else if (task->status != TASK_DONE)
    lua_pushnil(L);
  else if (lua_getiuservalue(L, index, TASK_VALUE_TRACE) != LUA_TTABLE || !reply_is_object(L, -1)) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

void task_response_keep(lua_State *L, int index) {
  const struct task *task = lua_touserdata(L, index);
  if (!has_response(task)) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, task->agenda->response);
  task_handle_set_extra(L, index, FIELD);
}

void task_response_keep_done(lua_State *co, const struct task *task) {
  if (!has_response(task) || !lua_checkstack(co, 1)) return;
  lua_rawgeti(co, LUA_REGISTRYINDEX, task->agenda->response);
  lua_setiuservalue(co, 1, TASK_VALUE_TRACE);
}
