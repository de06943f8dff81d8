/* context.h - the values that belong to a fiber and are handed down to what it starts.
 *
 * A fiber's context is a table that is made when something is written to it. A new fiber shares the
 * table of the one that starts it; whichever writes first takes a copy, so each sees what was there
 * at the start and what it wrote itself. */
#ifndef CORE_CONTEXT_H
#define CORE_CONTEXT_H

#include "base/buffer.h"

#include <lua.h>
#include <stdbool.h>

struct fiber;

/* [owner] What a fiber that the running one is about to start gets for context_give. Raises when
 * there is no memory. */
int context_share(lua_State *L);

/* [owner] Gives a new fiber what context_share gave; or gives it back when there is none. */
void context_give(struct fiber *fiber, int context);
void context_unshare(lua_State *L, int context);

/* [owner] Pushes the context of the running fiber and gives true, or false where it has none. The
 * table may be shared: it is for reading. */
bool context_push(lua_State *L);

/* [owner] Pushes the running fiber's own context, for writing. Raises when there is no memory. */
void context_push_own(lua_State *L);

/* [owner] Drops the context of a fiber that has ended; without one nothing happens. */
void context_drop(struct fiber *fiber);

/* [owner] Appends the context of the running fiber as bytes, and makes a context of them. Raises
 * kind "transfer" for what cannot cross. context_read gives the bytes that it read. */
void context_write(lua_State *L, struct buffer *out);
size_t context_read(lua_State *L, const char *data);

#endif
