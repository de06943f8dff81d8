/* json.h - the Lua module perilune.json: encode, decode, null, array.
 *
 * Responses and requests use the C doors below it without the module: json_encode and
 * json_try_decode, whose headers say what is encoded and decoded how. */
#ifndef LIB_JSON_H
#define LIB_JSON_H

#include "lib/json_decode.h"
#include "lib/json_encode.h"

#include <lua.h>

/* [owner] Pushes the module's table, for luaL_requiref or package.preload; gives 1. */
int luaopen_perilune_json(lua_State *L);

/* [owner] The enum json_decode_flags that the option table at argument `index` asks for, as
 * json.decode and req:json take it; none when it is absent. Raises on an unknown option. */
unsigned json_decode_flags(lua_State *L, int index);

#endif
