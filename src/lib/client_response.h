/* client_response.h - what perilune.http gives back: the response and its headers.
 *
 * A response is a plain table of the class "http.response": status, headers, body, url, elapsed
 * (seconds), and the methods json, header_all and raise_for_status. Its headers are a table of the
 * class "http.headers": keys in lower case, looked up in any case, repeats joined by ", ". */
#ifndef LIB_CLIENT_RESPONSE_H
#define LIB_CLIENT_RESPONSE_H

#include "lib/fetch.h"

#include <lua.h>

/* [owner] Registers the two classes in a state; raises when out of memory. */
void client_response_open(lua_State *L);

/* [owner] Pushes the response of a fetch that has ended well; the fetch stays as it is. */
void client_response_push(lua_State *L, const struct fetch *fetch);

#endif
