/* function_name.h - what to call a function in logs and reports.
 *
 * The name in the line that defines it (`local function x`, `function M.x`, `x = function`,
 * `x = perilune.blocking(function`), else file:line. */
#ifndef LIB_FUNCTION_NAME_H
#define LIB_FUNCTION_NAME_H

#include <lua.h>

/* [owner] Pushes the name of the function at `index`; for a marked function, of what was marked. */
void function_name_push(lua_State *L, int index);

#endif
