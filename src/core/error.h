/* error.h - the errors Perilune raises: tables with `kind` and `message`.
 *
 * Their class is "perilune.error", so `tostring(err)` is the message and they keep their class on
 * the way to another state. They are what the world does wrong ("timeout", "json", "http"); misuse
 * of an API raises a plain string with the caller's line instead (luaL_error, luaL_argerror). */
#ifndef CORE_ERROR_H
#define CORE_ERROR_H

#include "base/base.h"

#include <lua.h>
#include <stdbool.h>

#define CLASS_ERROR "perilune.error"

/* [owner] Makes the class known in a new state, before an error from another state arrives in it.
 * Raises when there is no memory. */
void error_open(lua_State *L);

/* [owner] Pushes an error of that kind; `format` and its arguments are those of lua_pushfstring
 * (%s %d %I %f %p %c %U %%). Raises when there is no memory. */
void error_push(lua_State *L, const char *kind, const char *format, ...);

/* [owner] Raises an error of that kind; does not return. The message gets no position. */
NO_RETURN void error_raise(lua_State *L, const char *kind, const char *format, ...);

/* [owner] The kind of the error at `index`, NULL when it is not one of Perilune's. Borrowed: it
 * lives as long as that table. Raises when the stack cannot grow. */
const char *error_kind(lua_State *L, int index);

/* [owner] Whether the error at `index` is one of that kind. As error_kind. */
bool error_is(lua_State *L, int index, const char *kind);

/* [owner] Pushes what a log says of the error at `index` and gives it (owned by the stack): its
 * tostring, or for a plain table its first fields, as `{ code = 7 }`. A __tostring that raises is
 * told of instead. Raises when there is no memory. */
const char *error_push_text(lua_State *L, int index);

#endif
