/* logger.h - the Lua module perilune.log: lines of the process's log from Lua code.
 *
 * Every line written below a request carries that request's id. */
#ifndef LIB_LOGGER_H
#define LIB_LOGGER_H

#include <lua.h>

/* [owner] Pushes the module's table; gives 1. */
int logger_open(lua_State *L);

#endif
