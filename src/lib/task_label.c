/* task_label.c - the task of a fiber, in this state or in the one that made its call.
 *
 * A fiber knows the fiber of its task, and that this one is still the same by its life. What runs
 * on another thread knows the name by its call. */
#include "lib/task_label.h"

#include "core/call.h"
#include "core/call_run.h"
#include "core/fiber.h"
#include "core/function_name.h"
#include "lib/task.h"
#include "lib/task_options.h"

#include <stdio.h>

static void write_text(const char *name, char *text, size_t size) {
  snprintf(text, size, "%s", name ? name : "?");
}

bool task_label_write(lua_State *L, char *text, size_t size) {
  const struct fiber *fiber = fiber_running(L);
  if (!fiber) return false;
  struct fiber *under = fiber->under;
  int top = lua_gettop(L);
  if (under && under->life == fiber->under_life && under->state != FIBER_IDLE &&
      lua_checkstack(L, LUA_MINSTACK) && task_push_of(L, under)) {
    task_push_name(L, top + 1);
    write_text(lua_tostring(L, -1), text, size);
    lua_settop(L, top);
    return true;
  }
  const struct call *call = fiber->run ? call_run_find(L) : NULL;
  if (!call || !call->task[0]) return false;
  write_text(call->task, text, size);
  return true;
}

void task_label_give(lua_State *L, int box, int function, int options) {
  int top = lua_gettop(L);
  if (!options || task_options_push_field(L, options, "name") != LUA_TSTRING)
    function_name_push(L, function);
  call_set_task(L, box, lua_tostring(L, -1));
  lua_settop(L, top);
}
