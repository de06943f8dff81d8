/* client_body.h - the options of perilune.http that are the body of a request.
 *
 * json, form, body (a string, or a function that gives pieces), multipart: at most one of them. */
#ifndef LIB_CLIENT_BODY_H
#define LIB_CLIENT_BODY_H

#include "lib/fetch.h"

#include <lua.h>

/* [owner] Reads the body and the header fields that go with it, when the other headers have been
 * read, from the option table (or nil) at `options`. Raises. */
void client_body_read(lua_State *L, struct fetch *fetch, int options);

#endif
