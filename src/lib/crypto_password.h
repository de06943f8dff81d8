/* crypto_password.h - crypto.password_hash and crypto.password_verify.
 *
 * Both take a tenth of a second on purpose, on libuv's threads; the task waits. */
#ifndef LIB_CRYPTO_PASSWORD_H
#define LIB_CRYPTO_PASSWORD_H

#include <lua.h>

/* [owner] Adds them to the table on top. */
void crypto_password_open(lua_State *L);

#endif
