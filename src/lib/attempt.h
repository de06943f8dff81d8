/* attempt.h - the run of a task that has options: its delay, its attempts, the waits in between.
 *
 * Runs in place of the function of the task. A task without options never comes here. */
#ifndef LIB_ATTEMPT_H
#define LIB_ATTEMPT_H

#include <lua.h>

/* [owner] The body of the fiber; gets the task and what it would have run. */
int attempt_run(lua_State *L);

#endif
