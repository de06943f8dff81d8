/* shared_convert.h - values and keys of Lua, from and to those of shared tables.
 *
 * What a raise would lose is owned by a userdata meanwhile: the scratch of the state has one ready
 * before a value comes. */
#ifndef LIB_SHARED_CONVERT_H
#define LIB_SHARED_CONVERT_H

#include "lib/shared_table.h"

#include <lua.h>

/* [owner] Pushes the scratch of a new state. */
void shared_convert_push_scratch(lua_State *L);

/* [owner] Makes the scratch at `index` ready for a value that comes out. */
void shared_convert_prepare(lua_State *L, int index);

/* [owner] The key at argument `index` of the running C function; raises when it can be none. */
struct shared_key shared_convert_key(lua_State *L, int index, const struct shared_table *table);

/* [owner] The value at `index`, with a reference that is the caller's. Raises kind "transfer" when
 * it cannot cross. */
struct shared_value shared_convert_in(lua_State *L, int index);

/* [owner] Pushes the value, whose reference is taken over; the scratch at `index` has been made
 * ready before there was one. False: it names a module that is not
 * loaded, and that name was pushed; it is to be required, and the value to be found again. */
bool shared_convert_out(lua_State *L, int index, const struct shared_value *value);

#endif
