/* function_index.h - the functions that a loaded app consists of, known in every state.
 *
 * When an app has loaded, the Lua functions that its routes, marks, modules and global functions
 * lead to, through upvalues and tables, are indexed by file, line and code. One that exists once is
 * the same function in all states; a closure that is made later is not in the index, whatever its
 * lines. */
#ifndef CORE_FUNCTION_INDEX_H
#define CORE_FUNCTION_INDEX_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* [owner] Indexes the app at `index`, which has just loaded, and the apps mounted in it; an earlier
 * index is replaced. */
void function_index_build(lua_State *L, int index);

/* [owner] Whether the function at `index` is the only one of its identity; writes that. */
bool function_index_find(lua_State *L, int index, uint64_t *identity);

/* [owner] Pushes this state's function with that identity. Raises kind "transfer" when there is
 * none, or more than one; `title` tells which in the message. */
void function_index_push(lua_State *L, uint64_t identity, const char *title);

/* [owner] The number of the app at `index`, from 1; 0 when it is none. */
lua_Integer function_index_find_app(lua_State *L, int index);

/* [owner] Pushes this state's app with that number; raises kind "transfer" when there is none. */
void function_index_push_app(lua_State *L, lua_Integer number);

#endif
