/* command.h - what the command line in Lua asks of C: versions, settings, environment.
 *
 * Runs in the plain Lua state of the main thread, which has no worker. */
#ifndef LIB_COMMAND_H
#define LIB_COMMAND_H

#include "base/settings.h"

#include <lua.h>

/* [owner] Adds the functions to the table on top of the stack. */
void command_add_functions(lua_State *L);

/* [owner] Reads a table of setting texts by name at `index` into initialised settings, and counts
 * what is "auto". Raises on a wrong value. */
void command_read_settings(lua_State *L, int index, struct settings *settings);

#endif
