/* develop.h - the Lua module perilune.native.develop: what `perilune dev` and `check` look at.
 *
 * None of it is used by a server that only serves. */
#ifndef LIB_DEVELOP_H
#define LIB_DEVELOP_H

#include <lua.h>
#include <stdbool.h>

struct reply_scratch;
struct req_source;

/* [owner] Answers the request with the error at 1 and its traceback (may be NULL), on the page that
 * Lua has set; false: nothing was answered. */
bool develop_answer_error(lua_State *L, struct req_source *source, struct reply_scratch *scratch,
                          const char *traceback);

/* [owner] Looks at what a handler has returned, which is the stack: where it is nothing, a `return`
 * may have been forgotten, and the log says so. */
void develop_look(lua_State *L, const struct req_source *source);

/* [owner] Opens the module (lua_CFunction). */
int develop_open(lua_State *L);

#endif
