/* options.h - checking the option tables that library functions take.
 *
 * An option that does not exist is a mistake of the caller, and says so at the caller's line with
 * the nearest name that does exist. The values of options are checked by who reads them. */
#ifndef LIB_OPTIONS_H
#define LIB_OPTIONS_H

#include "base/base.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

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

/* [owner] The value of an option in the table at `index`, which may be absent or nil, else
 * `fallback`: true or false; a number of bytes (65536 or "20m"); a whole number in a range; the
 * mode of a file ("644"). Raises when it is something else. */
bool options_flag(lua_State *L, int index, const char *name, bool fallback);
uint64_t options_bytes(lua_State *L, int index, const char *name, uint64_t fallback);
lua_Integer options_integer(lua_State *L, int index, const char *name, lua_Integer fallback,
                            lua_Integer smallest, lua_Integer largest);
mode_t options_mode(lua_State *L, int index, const char *name, mode_t fallback);

/* [owner] Pushes what a message says of the value at `index`: a string has its quotes, so that "3"
 * is not 3. */
const char *options_push_shown(lua_State *L, int index);

/* [owner] Pushes the value of an option that is a string and gives its bytes, or pushes nil and
 * gives NULL as data. */
struct slice options_push_text(lua_State *L, int index, const char *name);

/* [owner] The number on top of the stack, the value of the option `name`: at least `least`, or more
 * than it. Raises with `what` it should be. */
lua_Number options_check_number(lua_State *L, const char *name, const char *what, lua_Number least,
                                bool is_more);

#endif
