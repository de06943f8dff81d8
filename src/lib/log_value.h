/* log_value.h - any value of Lua as JSON for a log line: what has no JSON form is told of instead.
 *
 * Unlike json_encode it never refuses a value. Tables come with their keys in order; what is nested
 * deep, long or a cycle is cut, and "..." says so. */
#ifndef LIB_LOG_VALUE_H
#define LIB_LOG_VALUE_H

#include "base/buffer.h"

#include <lua.h>

/* [owner] Appends the table at `index`. Runs __tostring of values in it, whose errors are told of;
 * raises when there is no memory. */
void log_value_add(lua_State *L, int index, struct buffer *out);

#endif
