/* function_name.h - what to call a function in logs and reports.
 *
 * The name in the line that defines it (`local function x`, `function M.x`, `x = function`,
 * `x = perilune.blocking(function`), else file:line. */
#ifndef CORE_FUNCTION_NAME_H
#define CORE_FUNCTION_NAME_H

#include "base/base.h"

#include <lua.h>
#include <stdbool.h>

struct snapshot;

/* [any thread] The name in that line of the file that a chunk of this name was loaded from, in the
 * snapshot (NULL: none); false when there is none. The bytes live as long as the snapshot. */
bool function_name_find(struct snapshot *snapshot, const char *source, int line,
                        struct slice *name);

/* [owner] Pushes the name of the function at `index`; for a marked function, of what was marked. */
void function_name_push(lua_State *L, int index);

#endif
