/* req_body.h - the body of a request piece by piece, and whether its client is still there.
 *
 * Works the same for a body that was buffered (one piece), for one that is streamed (as it comes)
 * and on a pool thread (asked of the HTTP worker). Registered as methods of `req` by req.c. */
#ifndef LIB_REQ_BODY_H
#define LIB_REQ_BODY_H

#include <lua.h>

/* [owner] req:chunks() -> an iterator over strings that are not empty. It waits for the client;
 * raises an abort (400, 408, 413) for what is wrong with the body, kind "disconnected" when the
 * client has left. */
int req_body_chunks(lua_State *L);

/* [owner] req:is_disconnected() -> whether the client has ended its side. */
int req_body_is_disconnected(lua_State *L);

#endif
