/* shared.h - `require "perilune.shared"`: tables that all states of the process have in common.
 *
 *   local hits = shared "hits"; local cache = shared("cache", { max_memory = "16m", evict = "lru"
 * }) hits:incr(key, [by], [ttl_if_new]); hits:set(key, value, [ttl]); hits:get(key)
 *   hits:update(key, fn); hits:wait(key, [timeout, [old]]); hits:delete(key); hits:keys()
 *   hits:add(key, value, [ttl]) -> whether it was not there; hits:ttl(key) -> seconds that are left
 */
#ifndef LIB_SHARED_H
#define LIB_SHARED_H

#include <lua.h>

/* [owner] The module's opener: pushes the function that gives a table by its name. */
int shared_open(lua_State *L);

/* [owner] Teaches a new state how handles of tables cross: by name. */
void shared_open_transfer(lua_State *L);

#endif
