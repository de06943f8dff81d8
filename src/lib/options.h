/* options.h - checking the option tables that library functions take.
 *
 * An option that does not exist is a mistake of the caller, and says so at the caller's line with
 * the nearest name that does exist. The values of options are checked by who reads them. */
#ifndef LIB_OPTIONS_H
#define LIB_OPTIONS_H

#include <lua.h>
#include <stdint.h>

/* [owner] Checks the option table at argument `index` of the running C function: absent, nil, or a
 * table whose keys are all in `names` (ended by NULL; at least one name). Raises
 * `unknown option "nul" (did you mean "null"?)` with the position of the caller. */
void options_check(lua_State *L, int index, const char *const names[]);

/* [any thread] The one of `names` (ended by NULL, at least one) that is most like `name`. */
const char *options_nearest(const char *name, const char *const names[]);

/* [owner] Nanoseconds of the number of seconds that is argument `index` of the running C function:
 * not negative, at most 100 years. Raises when it is no number. */
uint64_t options_check_seconds(lua_State *L, int index);

/* [any thread] Nanoseconds of a number of seconds; 0 when it is not above 0, at most 100 years. */
uint64_t options_seconds(lua_Number seconds);

#endif
