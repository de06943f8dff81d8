/* sqlite_rows.h - db:rows: an iterator over rows, which are read a batch at a time.
 *
 * It is called by a generic for, or by hand; it has read all, or is closed, or is collected, and
 * then gives back what it has. */
#ifndef LIB_SQLITE_ROWS_H
#define LIB_SQLITE_ROWS_H

#include <lua.h>

/* [owner] Prepares a state. */
void sqlite_rows_open(lua_State *L);

/* [owner] The method. */
int sqlite_rows(lua_State *L);

#endif
