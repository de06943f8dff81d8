/* client.h - the Lua module perilune.native.http: requests to other servers.
 *
 * get, post, put, patch, delete, head, options and request{}. Each waits for the response in
 * its fiber; connections are kept alive and shared by all fibers of a Lua state. Redirects are not
 * followed unless asked for. */
#ifndef LIB_CLIENT_H
#define LIB_CLIENT_H

#include <lua.h>

struct fetch_pool;

/* [owner] Pushes the module table: the luaopen function of perilune.native.http. */
int client_open(lua_State *L);

/* [owner] The fetches of a state; NULL: it has made none. */
struct fetch_pool *client_pool(lua_State *L);

#endif
