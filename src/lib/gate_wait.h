/* gate_wait.h - waiting at a gate with a fiber, and not with its thread.
 *
 * On an event loop, code that finds a gate closed lets the loop go on: its fiber is woken by who
 * leaves, and tries again. */
#ifndef LIB_GATE_WAIT_H
#define LIB_GATE_WAIT_H

#include "core/fiber.h"
#include "core/gate.h"

/* [owner] Whether the running code waits at gates with its thread: in a pool, where it cannot be
 * suspended, and where it is cancelled, so that its fiber could not wait. */
bool gate_wait_blocks(lua_State *L);

/* [owner] Goes in, with its thread waiting where that is right; false: the gate is closed. */
bool gate_wait_enter(lua_State *L, struct gate *gate);

/* [owner] Parks the running fiber until the gate is left, or goes on at once if it is open; to be
 * returned from a C function. `k` tries again. It is no wait that can be cancelled: what was to be
 * done is done all the same, as where no gate is closed. */
lua_nret gate_wait(lua_State *L, struct gate *gate, lua_KContext context, lua_KFunction k);

#endif
