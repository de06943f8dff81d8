/* client_request.h - the options of perilune.http, read into a fetch.
 *
 * What is wrong in a call (a header with a line break, two bodies, an unknown option) raises a
 * plain error at the caller's line; a URL that is none raises kind "http". Sends nothing. */
#ifndef LIB_CLIENT_REQUEST_H
#define LIB_CLIENT_REQUEST_H

#include "base/base.h"
#include "lib/backoff.h"
#include "lib/fetch.h"

#include <lua.h>

/* The names that options may have, for options_check; `method` and `url` are for request{}. */
#define CLIENT_OPTIONS                                                                             \
  "headers", "query", "json", "form", "body", "multipart", "timeout", "connect_timeout",           \
      "idle_timeout", "follow_redirects", "retries", "retry_unsafe", "backoff", "stream",          \
      "verify", "ca_file", "ca_path", "max_body", "unix_socket"

/* Whether, and when, a request that failed is sent again. */
struct client_retry {
  lua_Integer count; /* of further attempts */
  bool unsafe;       /* methods that are not idempotent too */
  struct backoff backoff;
};

/* [owner] Fills a zeroed fetch, which its userdata owns already, from the URL at `url` and the
 * option table (or nil) at `options`, both indices absolute. `method` is any case. */
void client_request_read(lua_State *L, struct fetch *fetch, struct client_retry *retry,
                         const char *method, int url, int options);

/* [owner] Pushes an option of the table (or nil) at `options`; gives its type. */
int client_request_push_option(lua_State *L, int options, const char *name);

/* [owner] Pushes a path; a relative one is below the app's directory. */
const char *client_request_push_path(lua_State *L, const char *path);

/* [owner] Raises the error on top of the stack, with curl's code and its name as fields. */
NO_RETURN void client_request_raise(lua_State *L, CURLcode code);

/* [owner] Raises what Lua raises when there is no memory. */
NO_RETURN void client_request_raise_no_memory(lua_State *L);

#endif
