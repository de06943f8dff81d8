/* class.h - the classes of values that have a name known in every Lua state.
 *
 * A class is a metatable with a name ("json.array", "perilune.error"): what tells one state which
 * metatable a value that came from another state gets. The registry of each state knows both
 * directions, name to metatable and metatable to name. Two values that everything needs live here
 * too: perilune.null, and the mark that makes a table a JSON array even when it is empty.
 * All functions are [owner]: they belong to the thread that runs the state. */
#ifndef CORE_CLASS_H
#define CORE_CLASS_H

#include <lua.h>
#include <stdbool.h>

#define CLASS_ARRAY "json.array"
#define CLASS_NULL  "perilune.null"

/* [owner] Makes the table on top of the stack the metatable of the class `name`; it stays there.
 * Registering a name again replaces it: values that have the older metatable keep their name, new
 * ones get the new metatable. Raises when there is no memory. */
void class_register(lua_State *L, const char *name);

/* [owner] Pushes the metatable of the class `name`; one that is new has only `__name`. Raises when
 * there is no memory. */
void class_push(lua_State *L, const char *name);

/* [owner] The name of the class of the value at `index`, NULL when it has none. Borrowed: it lives
 * as long as the state. Raises when the stack cannot grow. */
const char *class_name(lua_State *L, int index);

/* [owner] Pushes perilune.null, the one userdata of this state that stands for JSON's null and
 * SQL's NULL. Raises when there is no memory. */
void class_push_null(lua_State *L);

/* [owner] Whether the value at `index` is perilune.null. One lookup, no allocation. */
bool class_is_null(lua_State *L, int index);

/* [owner] Pushes the metatable of JSON arrays: for code that marks or tests many values, with
 * lua_setmetatable and lua_topointer. Raises when there is no memory. */
void class_push_array(lua_State *L);

/* [owner] Marks the table at `index` as a JSON array; a metatable it had is replaced. Raises when
 * there is no memory. */
void class_set_array(lua_State *L, int index);

/* [owner] Whether the table at `index` is marked as a JSON array. One lookup, no allocation. */
bool class_is_array(lua_State *L, int index);

#endif
