/* sqlite_arguments.h - the parameters of a statement, from the arguments of a call.
 *
 * Arguments are the values of ?, in order; one table has those of :name. A table behind them has
 * options. */
#ifndef LIB_SQLITE_ARGUMENTS_H
#define LIB_SQLITE_ARGUMENTS_H

#include "lib/sqlite_value.h"

#include <lua.h>
#include <stdbool.h>

/* [owner] Reads the arguments from `first` to `last`; the option `null` sets `nulls`. `out` is
 * zeroed, and owned by something that a raise does not skip. Raises at the caller's line. */
void sqlite_arguments_read(lua_State *L, int first, int last, struct sqlite_parameters *out,
                           bool *nulls);

#endif
