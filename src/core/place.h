/* place.h - where a function runs: marks made while an app loads, known in every state.
 *
 * A mark gives a function an identity (file, line, code and primitive upvalues) by which every
 * state that has loaded the same files finds its own copy. A marked function is a plain Lua
 * function; calling it runs it where it belongs. */
#ifndef CORE_PLACE_H
#define CORE_PLACE_H

#include "base/base.h"

#include <lua.h>
#include <stdbool.h>

struct call_host;

/* The mark of one function in one state; lives as long as the marked function. */
struct place {
  struct call_host *host; /* runs its calls */
  char *pool;             /* owned; NULL: the pool that the caller chooses */
  double timeout;         /* seconds; 0: none */
  char *identity;         /* owned */
  size_t identity_len;
};

/* [owner] Prepares a state. */
void place_open(lua_State *L);

/* [owner] Marks are allowed from begin to end: the calls of what is marked go to `host`. */
void place_begin_load(lua_State *L, struct call_host *host);
void place_end_load(lua_State *L);
bool place_is_loading(lua_State *L);

/* [owner] Forgets all marks: the app's files are about to be run anew in this state. */
void place_forget(lua_State *L);

/* [owner] Pushes a marked function for the function at `index`. `pool` and `name` may be NULL.
 * Raises after the load has ended, and when the mark cannot be told from another one. */
void place_mark(lua_State *L, int index, const char *pool, const char *name, double timeout);

/* [owner] The place of the value at `index`, or NULL when it is not a marked function. */
struct place *place_of(lua_State *L, int index);

/* [owner] Pushes the function that was marked, for the marked function at `index`. */
void place_push_function(lua_State *L, int index);

/* [owner] Pushes this state's function with that identity; raises when it has none. */
void place_push_found(lua_State *L, const char *identity, size_t len);

#endif
