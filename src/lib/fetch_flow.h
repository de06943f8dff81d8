/* fetch_flow.h - the bodies of a fetch: given piece by piece, taken while they come.
 *
 * Backpressure is curl's own: a callback that has nothing to give, or no room, pauses that
 * direction; the functions here let it go on. Nothing here touches Lua. */
#ifndef LIB_FETCH_FLOW_H
#define LIB_FETCH_FLOW_H

#include "lib/fetch.h"

/* [owner] Sets the callbacks on the fetch's handle; gives 0, or bits of curl's error codes. */
unsigned fetch_flow_set(struct fetch *fetch);

/* [owner] Sends a piece, which is copied; only while one is wanted. */
void fetch_flow_give(struct fetch *fetch, const char *data, size_t len);

/* [owner] No further piece comes; only while one is wanted. */
void fetch_flow_give_end(struct fetch *fetch);

/* [owner] A piece of a file has been read: sends it, if it was wanted. */
void fetch_flow_go_on(struct fetch *fetch);

/* [owner] Forgets the part of the body that has come: it was taken, more may come. */
void fetch_flow_resume(struct fetch *fetch);

#endif
