/* running.h - async.running(): what is alive in a state, and what it waits for.
 *
 * For people: the same words are in the report of a deadlock. Nothing here changes a fiber. */
#ifndef LIB_RUNNING_H
#define LIB_RUNNING_H

#include <lua.h>

struct fiber;

/* [owner] The Lua function: a list of { id=, name=, age=, state=, waits_for=, source= }. */
int running(lua_State *L);

/* [owner] Pushes "file:line" of where a fiber is, or nil. */
void running_push_line(lua_State *L, struct fiber *fiber);

/* [owner] Pushes a line on a fiber that waits: its name, for what, and where. */
void running_push_wait(lua_State *L, struct fiber *fiber);

#endif
