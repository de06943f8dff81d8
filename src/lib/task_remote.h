/* task_remote.h - a task as other Lua states have it.
 *
 * A task that is sent to another state arrives as a handle with the fields that it had then; it can
 * be waited for, called once more and cancelled, by messages to the worker that it lives on. Sent
 * back home, or never away, it is the task itself. */
#ifndef LIB_TASK_REMOTE_H
#define LIB_TASK_REMOTE_H

#include <lua.h>
#include <stdint.h>

#define CLASS_TASK_REMOTE "perilune.task.remote"

/* [owner] Pushes a handle on the task with that id of the worker with that number; the table on top
 * of the stack (popped) has its fields. */
void task_remote_push(lua_State *L, uint64_t worker, uint64_t id);

/* [owner] For the method find(self, id): pushes the task with that id, or a handle on it where it
 * lives on another worker, which may wait; nil when there is none. To be returned from a C
 * function. */
int task_remote_find(lua_State *L);

/* [owner] Registers the class and how tasks cross, in a state. */
void task_remote_open(lua_State *L);

#endif
