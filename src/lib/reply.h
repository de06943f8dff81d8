/* reply.h - from what a handler returned to the response.
 *
 * Reads the results from the Lua stack as API.md says: text, table, status, status and body,
 * status, body and headers, nothing, or a response object; anything else is an error that says what
 * to return instead. Bytes go from Lua to the connection without another copy in Lua. */
#ifndef LIB_REPLY_H
#define LIB_REPLY_H

#include "base/buffer.h"
#include "http/exchange.h"

#include <lua.h>
#include <stdbool.h>

#define CLASS_RESPONSE "perilune.response"

/* Memory for responses being put together; one for each worker, kept between requests. */
struct reply_scratch {
  struct buffer body;
  struct buffer block; /* encoded header fields */
};

/* [owner] Answers with the `count` results from absolute index `first` on. True when they are a
 * response whose function is still to write the body: it has begun (lib/stream.h). Raises, and has
 * answered nothing, when they are no response. */
bool reply_results(lua_State *L, int first, int count, struct exchange *exchange,
                   struct reply_scratch *scratch);

/* [owner] Answers with the error at `index` when it is one of perilune.abort; gives its status, or
 * 0. Raises when its parts are no response. */
int reply_abort(lua_State *L, int index, struct exchange *exchange, struct reply_scratch *scratch);

/* [owner] Pushes the `count` results (1 or more) from absolute index `first` on as a response
 * object of its own, its body encoded; a response object among them is copied, and the copy's field
 * `origin` is it. `who` gave the results; `status` is that of results that name none, or 200.
 * Raises when they are no response. */
void reply_push(lua_State *L, int first, int count, const char *who, int status,
                struct reply_scratch *scratch);

/* [owner] Looks at the `count` results from absolute index `first` on, which are on top of the
 * stack and come from `who`: leaves what says the same and needs no more encoding, and gives its
 * number. Raises when they are no response. */
int reply_prepare(lua_State *L, int first, int count, const char *who,
                  struct reply_scratch *scratch);

/* [owner] As reply_abort, but pushes the response as an object. */
int reply_push_abort(lua_State *L, int index, struct reply_scratch *scratch);

/* [owner] Pushes the response object that the server itself answers with. */
void reply_push_status(lua_State *L, int status);

/* [owner] Whether the value at `index` is a response object. */
bool reply_is_object(lua_State *L, int index);

/* [owner] Frees the memory; accepts zeroed scratch. */
void reply_finish(struct reply_scratch *scratch);

#endif
