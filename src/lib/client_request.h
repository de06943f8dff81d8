/* client_request.h - the options of perilune.http, read into a fetch.
 *
 * What is wrong in a call (a header with a line break, two bodies, an unknown option) raises a
 * plain error at the caller's line; a URL that is none raises kind "http". Sends nothing. */
#ifndef LIB_CLIENT_REQUEST_H
#define LIB_CLIENT_REQUEST_H

#include "lib/fetch.h"

#include <lua.h>

/* The names that options may have, for options_check; `method` and `url` are for request{}. */
#define CLIENT_OPTIONS                                                                             \
  "headers", "query", "json", "form", "body", "timeout", "connect_timeout", "follow_redirects",    \
      "verify"

/* [owner] Fills a zeroed fetch, which its userdata owns already, from the URL at `url` and the
 * option table (or nil) at `options`, both indices absolute. `method` is any case; the fetch's own
 * is pushed and must stay on the stack until it has started. */
void client_request_read(lua_State *L, struct fetch *fetch, const char *method, int url,
                         int options);

#endif
