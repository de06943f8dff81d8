/* cookies.h - cookies for Lua: req.cookies, req:signed_cookie, and the pairs of Set-Cookie.
 *
 * A signed cookie is VALUE.MAC, where MAC is the HMAC-SHA256 of NAME=VALUE under the app's secret,
 * in base64url: the client can read the value, not change it, and not put it under another name. It
 * does not expire by itself. Several secrets: the first signs, each is good for reading, so that a
 * secret can be replaced while old cookies last. Attributes are lua/perilune/cookie.lua's part. */
#ifndef LIB_COOKIES_H
#define LIB_COOKIES_H

#include "base/base.h"

#include <lua.h>

/* [owner] Loader of perilune.native.cookies: { pair = function }. */
int cookies_open(lua_State *L);

/* [owner] Adds what one Cookie field says to the table on top; a name that is there stays. */
void cookies_add(lua_State *L, struct slice field);

/* [owner] req:signed_cookie(name, secret) -> the value, or nil when there is no such cookie or its
 * signature is not right. */
int cookies_read_signed(lua_State *L);

#endif
