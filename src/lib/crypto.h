/* crypto.h - perilune.crypto: digests, MACs, random bytes, encodings and password hashes.
 *
 *   hash(name, data), hmac(name, key, data), hasher(name)   hex unless { encoding = } says so
 *   random(n), uuid(), equal(a, b)
 *   base64, base64_decode, hex, hex_decode                  crypto_text.h
 *   password_hash, password_verify                          crypto_password.h */
#ifndef LIB_CRYPTO_H
#define LIB_CRYPTO_H

#include <lua.h>

/* [owner] Loader of perilune.crypto. */
int crypto_open(lua_State *L);

#endif
