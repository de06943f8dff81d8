/* task_handle.h - what Lua does with a task: wait for it, cancel it, ask it.
 *
 * In the state that the task lives in; what other states have of it is in task_remote.h. */
#ifndef LIB_TASK_HANDLE_H
#define LIB_TASK_HANDLE_H

#include <lua.h>
#include <stdint.h>

/* [owner] Registers the class in a state. */
void task_handle_open(lua_State *L);

/* [owner] A random number for the id of a task, never 0. */
uint64_t task_handle_random_id(lua_State *L);

/* [owner] The number of the task at `index`, made when first asked for; it can be found by it from
 * then on. */
uint64_t task_handle_id(lua_State *L, int index);

/* [owner] Pushes the id as text: 16 digits, and the worker that the task lives on. */
void task_handle_push_id(lua_State *L, uint64_t worker, uint64_t id);

/* [owner] Values that few tasks have, by name: pushes that of the task at `index`, or nil; sets it
 * to the value on top of the stack (popped). */
void task_handle_push_extra(lua_State *L, int index, const char *name);
void task_handle_set_extra(lua_State *L, int index, const char *name);

/* [owner] The function of the task at `index` begins: sets its event `started`, if it has one. */
void task_handle_tell_started(lua_State *L, int index);

/* [owner] The method wait(self, [timeout]). */
int task_handle_wait(lua_State *L);

/* [owner] The method call(self). */
int task_handle_call(lua_State *L);

#endif
