/* json_path.h - where in a value an error is, as a person would write it in Lua.
 *
 * `value.users[2].photo`; keys that are no names are quoted, bytes that cannot be printed are
 * written as \xNN, long keys and long paths are cut. The text is always valid UTF-8. */
#ifndef LIB_JSON_PATH_H
#define LIB_JSON_PATH_H

#include <lua.h>

/* [owner] Pushes the path to the value `levels` below the one in slot `root`: the key of level n
 * is in slot root + 2n - 1. Raises when there is no memory. */
void json_path_push(lua_State *L, int root, int levels);

/* [owner] Pushes the string at `index` in quotes. Raises when there is no memory. */
void json_path_push_key(lua_State *L, int index);

#endif
