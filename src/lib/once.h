/* once.h - what req:once needs of the core: a wait, a place per request, and its end.
 *
 * perilune.native.once is what lua/perilune/once.lua is made of. What a request has made is closed
 * by a fiber of its own: on an HTTP worker once the handler has ended, on a pool thread once the
 * call has. */
#ifndef LIB_ONCE_H
#define LIB_ONCE_H

#include <lua.h>
#include <stdbool.h>

struct call_run;
struct req_source;
struct fiber_kind;
struct worker;

/* [owner] Pushes the module's table; gives 1. */
int once_open(lua_State *L);

/* [owner] Starts closing what the request of `source` has made, or the run of a call; false when
 * there is nothing to close. The fiber is of `kind`, whose entry is once_close_all, and has `data`.
 */
bool once_start_closing(struct worker *worker, struct req_source *source,
                        const struct fiber_kind *kind, void *data);
bool once_start_closing_run(struct call_run *run, struct worker *worker,
                            const struct fiber_kind *kind, void *data);
int once_close_all(lua_State *L);

/* [owner] Whether such a fiber is at work on this worker. */
bool once_is_closing(const struct worker *worker);

#endif
