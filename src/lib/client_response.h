/* client_response.h - what perilune.http gives back: the response and its headers.
 *
 * A response is a plain table of the class "http.response": status, headers, body (not of a
 * stream), url, elapsed (seconds), and the methods json, header_all, raise_for_status, chunks and
 * close, which is its __close too. Its headers are a table of the class "http.headers": keys in
 * lower case, looked up in any case, repeats joined by ", ". */
#ifndef LIB_CLIENT_RESPONSE_H
#define LIB_CLIENT_RESPONSE_H

#include "lib/fetch.h"

#include <lua.h>

/* [owner] Registers the two classes in a state; raises when out of memory. */
void client_response_open(lua_State *L);

/* [owner] Pushes the response of a fetch that has ended well, or is a stream whose head has come;
 * the fetch stays as it is. */
void client_response_push(lua_State *L, const struct fetch *fetch, lua_Number elapsed_s);

/* [owner] Raises unless the first argument of the running method is a response. */
void client_response_check(lua_State *L, const char *method);

#endif
