/* client_stream.h - responses whose body is read while it comes: res:chunks(), res:close().
 *
 * What is read lets the server send more, so a slow reader holds little. A stream that is closed,
 * collected or cancelled is dropped. Responses that are there as a whole have the same methods. */
#ifndef LIB_CLIENT_STREAM_H
#define LIB_CLIENT_STREAM_H

#include "lib/fetch.h"

#include <lua.h>

/* [owner] Pushes a userdata with a zeroed fetch, which it finishes when collected. */
struct fetch *client_stream_push_fetch(lua_State *L);

/* [owner] Makes the response on top of the stack the owner of the fetch at `index`. */
void client_stream_attach(lua_State *L, int index);

/* [owner] Whether the response at `index` is a stream. */
bool client_stream_is_at(lua_State *L, int index);

/* [owner] The methods: chunks(response) -> an iterator; close(response). */
int client_stream_chunks(lua_State *L);
int client_stream_close(lua_State *L);

#endif
