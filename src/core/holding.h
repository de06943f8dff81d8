/* holding.h - functions of Lua's own libraries that hold an event loop until the world answers.
 *
 * Where an app is being developed they warn, once for each line that calls them: os.execute,
 * io.popen, and what reads standard input. */
#ifndef CORE_HOLDING_H
#define CORE_HOLDING_H

#include <lua.h>

/* [owner] Makes them warn in a new state, if its process wants that and it is that of an event
 * loop. Raises. */
void holding_open(lua_State *L);

#endif
