/* task_handle.h - what Lua does with a task: wait for it, cancel it, ask it.
 *
 * In the state that the task lives in; what other states have of it is in task_remote.h. */
#ifndef LIB_TASK_HANDLE_H
#define LIB_TASK_HANDLE_H

#include <lua.h>
#include <stdint.h>

struct task;

/* [owner] Registers the class in a state. */
void task_handle_open(lua_State *L);

/* [owner] The random number that is the id of a task, made when first asked for. */
uint64_t task_handle_id(lua_State *L, struct task *task);

/* [owner] The method wait(self, [timeout]). */
int task_handle_wait(lua_State *L);

#endif
