/* sqlite_result.h - what comes of a job, as Lua values.
 *
 * A row is a table by column name; of two columns with one name it has the last. */
#ifndef LIB_SQLITE_RESULT_H
#define LIB_SQLITE_RESULT_H

#include <lua.h>
#include <stdbool.h>

struct sqlite_job;

/* [owner] Pushes a list of the names of the columns; gives where the rows begin. */
const char *sqlite_result_push_names(lua_State *L, const char *at);

/* [owner] Pushes a row; its names are the list at the absolute index `names`. Gives where the next
 * one begins. */
const char *sqlite_result_push_row(lua_State *L, const char *at, int names, bool nulls);

/* [owner] Pushes a JSON array of all rows; the first, or nil; its first column, or nil. */
void sqlite_result_push_rows(lua_State *L, const struct sqlite_job *job, bool nulls);
void sqlite_result_push_first(lua_State *L, const struct sqlite_job *job, bool nulls);
void sqlite_result_push_value(lua_State *L, const struct sqlite_job *job, bool nulls);

/* [owner] Pushes the error that the job's failure is. */
void sqlite_result_push_failure(lua_State *L, const struct sqlite_job *job);

#endif
