/* event.h - async.event: something that has happened, or not yet.
 *
 * set() lets all go on that wait at that moment, even if it is cleared right after. */
#ifndef LIB_EVENT_H
#define LIB_EVENT_H

#include <lua.h>

/* [owner] Adds `event` to the module table on top of the stack. */
void event_open(lua_State *L);

/* [owner] Pushes a new event. */
void event_push(lua_State *L);

/* [owner] Sets the event at `index`. */
void event_set(lua_State *L, int index);

#endif
