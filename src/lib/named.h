/* named.h - handles of a state by name, as long as somebody uses them.
 *
 * `key` is an address that stands for one kind of them. */
#ifndef LIB_NAMED_H
#define LIB_NAMED_H

#include <lua.h>

/* [owner] Pushes the userdata that was added under a name, and gives its memory; or nil and NULL.
 */
void *named_push(lua_State *L, const void *key, const char *name);

/* [owner] Adds the userdata on top of the stack, which stays there. */
void named_add(lua_State *L, const void *key, const char *name);

#endif
