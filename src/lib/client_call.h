/* client_call.h - one call of perilune.http: from its arguments to its response.
 *
 * The fiber of the call waits for the response, makes the pieces of a body that is a function, and
 * waits between attempts. However it ends (an error, a cancel, a coroutine that is closed), the
 * request is dropped with it, unless it has become a streamed response. */
#ifndef LIB_CLIENT_CALL_H
#define LIB_CLIENT_CALL_H

#include "core/fiber.h"
#include "lib/fetch_pool.h"

#include <lua.h>

/* [owner] Sends a request and gives its response. The stack is the URL, the option table (or nil)
 * and the method, in any case. */
lua_nret client_call(lua_State *L, struct fetch_pool *pool, struct fiber *fiber);

/* [owner] Only checks them: raises as client_call does. */
void client_call_check(lua_State *L);

#endif
