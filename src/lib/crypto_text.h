/* crypto_text.h - bytes as text in perilune.crypto: hex, base64 and base64url.
 *
 * Texts come from anywhere: one that cannot be read is an error of kind "crypto". */
#ifndef LIB_CRYPTO_TEXT_H
#define LIB_CRYPTO_TEXT_H

#include "base/base.h"

#include <lua.h>

enum crypto_encoding { CRYPTO_RAW, CRYPTO_HEX, CRYPTO_BASE64, CRYPTO_BASE64URL };

/* [owner] The option "encoding" of the options at `index`, which have no other one. */
enum crypto_encoding crypto_text_check(lua_State *L, int index, enum crypto_encoding fallback);

/* [owner] Pushes the bytes, encoded. */
void crypto_text_push(lua_State *L, struct slice bytes, enum crypto_encoding encoding);

/* [owner] Adds hex, hex_decode, base64 and base64_decode to the table on top. */
void crypto_text_open(lua_State *L);

#endif
