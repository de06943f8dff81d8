/* schedule_watch.h - what specs see of the tasks that an app schedules, and put in their place.
 *
 * A watcher is a function of Lua that belongs to the instance of an app. It is asked before each
 * task is made and told after; workers without one pay a comparison. */
#ifndef LIB_SCHEDULE_WATCH_H
#define LIB_SCHEDULE_WATCH_H

#include <lua.h>

struct instance;
#include <stdbool.h>

/* [owner] Makes the function on top of the stack (popped; nil: none) the watcher of an instance. */
void schedule_watch_set(lua_State *L, const struct instance *instance);

/* [owner] Asks watch("before", fn, name) for a stand-in, which takes the place of the function at
 * `function`; the options at `options` (0: none) may name it. */
void schedule_watch_ask(lua_State *L, const struct instance *instance, int function, int options);

/* [owner] Tells watch("after", task, when) of the task on top of the stack. */
void schedule_watch_tell(lua_State *L, const struct instance *instance, const char *when);

#endif
