/* once.h - what req:once needs of the core: a wait, a place per request, and its end.
 *
 * perilune.native.once is what lua/perilune/once.lua is made of. What a request has made is closed
 * by a fiber of its own: on an HTTP worker once the handler has ended, on a pool thread once the
 * call has. */
#ifndef LIB_ONCE_H
#define LIB_ONCE_H

#include <lua.h>
#include <stdbool.h>

struct fiber;
struct req_source;
struct worker;

/* [owner] Pushes the module's table; gives 1. */
int once_open(lua_State *L);

/* [owner] Starts closing what the request of `source` (NULL: the call that this pool thread runs)
 * has made; false when there is nothing to close. `ended` is called with a fiber whose data is
 * `data` when all is closed; it may be NULL. */
bool once_start_closing(struct worker *worker, struct req_source *source, void *data,
                        void (*ended)(struct fiber *fiber));

/* [owner] Whether such a fiber is at work on this worker. */
bool once_is_closing(const struct worker *worker);

#endif
