/* life.h - running the hooks of a loaded app from C: lua/perilune/life.lua, and what it needs.
 *
 * Who runs hooks pushes what is to be called here, in a fiber, and calls it with one result: nil,
 * or in one line which hook failed and why. May wait. */
#ifndef LIB_LIFE_H
#define LIB_LIFE_H

#include <lua.h>

/* [owner] Pushes what runs the hooks of a kind ("on_start", "on_worker", "every", "on_stop") of the
 * app at `index`, and its arguments; gives their number. */
int life_push(lua_State *L, int index, const char *kind);

/* [owner] As life_push, for the hooks on_state: what kind of state this is, the name of its pool or
 * loop, and its number among those, from 1. */
int life_push_state(lua_State *L, int index, const char *role, const char *name, int number);

/* [owner] As life_push, in the state of the background loop with that name: "begin_loop" runs the
 * hooks on_state and those that the loop has for its start, "end_loop" those for its stop. */
int life_push_loop(lua_State *L, int index, const char *kind, const char *name);

/* [owner] Pushes the table of perilune.native.life; gives 1. */
int life_open(lua_State *L);

#endif
