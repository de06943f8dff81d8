/* stream.h - responses that a function writes: perilune.stream and perilune.sse.
 *
 * Such a response object has the function as its field `stream`, or, when a blocking handler made
 * it, the call that goes on as its field `call` (core/call.h): then the function runs on the pool
 * thread, and its bytes come to the connection as asks. */
#ifndef LIB_STREAM_H
#define LIB_STREAM_H

#include "core/fiber.h"
#include "lib/req.h"

#include <lua.h>
#include <stdbool.h>

/* [owner] Whether the value at `index` is a response object whose function is still to run. */
bool stream_is_at(lua_State *L, int index);

/* [owner] On the HTTP worker, once the response has begun: pushes what runs the function of the
 * response at `index` to its end, with its arguments, and gives their number. */
int stream_push(lua_State *L, int index, struct req_source *source);

/* [owner] On a pool thread, with the response object at index 1: offers it to the caller; goes on
 * in `k` when that has begun the response. */
lua_nret stream_offer(lua_State *L, lua_KFunction k);

/* [owner] To be called first in that `k`: leaves the function on the stack, pushes its arguments
 * and gives their number. Raises when the caller is gone. */
int stream_push_offered(lua_State *L, lua_KContext context);

/* [owner] Starts and stops the comments that keep an idle event stream alive; the response at
 * `index` says how often. */
void stream_keep_alive(lua_State *L, int index, struct req_source *source);
void stream_stop_keeping(struct req_source *source);

#endif
