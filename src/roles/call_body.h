/* call_body.h - what the fiber of a call runs: its function, and the bytes of what that gives.
 *
 * The same on the threads of pools and on background loops; the fiber is in the run of the call. */
#ifndef ROLES_CALL_BODY_H
#define ROLES_CALL_BODY_H

#include <lua.h>

/* [owner] The entry of the fiber. */
int call_body_run(lua_State *L);

/* [owner] Its `failed`: the error is the call's result. */
int call_body_failed(lua_State *L);

#endif
