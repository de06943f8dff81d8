/* task_registry.h - the tasks of a Lua state whose ids are known, so that they can be found by
 * them.
 *
 * A task is kept from when its id is first asked for until TASK_KEPT_MS after its end; of
 * those that have ended, at most TASKS_KEPT_MAX, the oldest go first. A task whose id nobody knows
 * costs nothing here. */
#ifndef LIB_TASK_REGISTRY_H
#define LIB_TASK_REGISTRY_H

#include <lua.h>
#include <stdint.h>

/* [owner] Prepares a new state. */
void task_registry_open(lua_State *L);

/* [owner] Keeps the task at `index`, whose id has just been made. Raises when there is no memory.
 */
void task_registry_add(lua_State *L, int index);

/* [owner] Pushes the task with that id; nil when there is none. */
void task_registry_push(lua_State *L, uint64_t id);

/* [owner] A task that was added has ended. */
void task_registry_end(lua_State *L, uint64_t id);

#endif
