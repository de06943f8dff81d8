/* crypto_text.c - encoding and decoding for Lua.
 *
 * Results are written right into the string that Lua makes of them. */
#include "lib/crypto_text.h"

#include "base/base64.h"
#include "core/error.h"
#include "lib/options.h"

#include <lauxlib.h>
#include <string.h>

static struct slice check_text(lua_State *L, int index) {
  struct slice text;
  luaL_checktype(L, index, LUA_TSTRING);
  text.data = lua_tolstring(L, index, &text.len);
  return text;
}

enum crypto_encoding crypto_text_check(lua_State *L, int index, enum crypto_encoding fallback) {
  static const char *const names[] = {"encoding", NULL};
  static const char *const encodings[] = {"raw", "hex", "base64", "base64url", NULL};
  options_check(L, index, names);
  const char *text = options_push_text(L, index, "encoding").data;
  int encoding = text ? -1 : (int)fallback;
  for (int i = 0; text && encodings[i]; i++)
    if (strcmp(text, encodings[i]) == 0) encoding = i;
  if (encoding < 0)
    luaL_error(L,
               "option \"encoding\" is \"raw\", \"hex\", \"base64\" or \"base64url\", not \"%s\"",
               text);
  lua_pop(L, 1);
  return (enum crypto_encoding)encoding;
}

static void push_base64(lua_State *L, struct slice bytes, unsigned flags) {
  luaL_Buffer text;
  size_t len = base64_len(bytes.len, flags);
  base64_encode(luaL_buffinitsize(L, &text, len), bytes, flags);
  luaL_pushresultsize(&text, len);
}

static void push_hex(lua_State *L, struct slice bytes) {
  luaL_Buffer text;
  base64_hex_encode(luaL_buffinitsize(L, &text, 2 * bytes.len), bytes);
  luaL_pushresultsize(&text, 2 * bytes.len);
}

void crypto_text_push(lua_State *L, struct slice bytes, enum crypto_encoding encoding) {
  switch (encoding) {
  case CRYPTO_RAW:
    lua_pushlstring(L, bytes.data, bytes.len);
    break;
  case CRYPTO_HEX:
    push_hex(L, bytes);
    break;
  case CRYPTO_BASE64:
    push_base64(L, bytes, BASE64_PAD);
    break;
  case CRYPTO_BASE64URL:
    push_base64(L, bytes, BASE64_URL);
    break;
  }
}

static NO_RETURN void raise_wrong(lua_State *L, const char *what, size_t len, size_t wrong) {
  if (wrong == len)
    error_raise(L, "crypto", "not %s: %I bytes are too few or too many", what, (LUAI_UACINT)len);
  error_raise(L, "crypto", "not %s: byte %I is wrong", what, (LUAI_UACINT)wrong + 1);
}

/* ---- functions ---- */

static const char *const base64_options[] = {"url", "pad", NULL};

/* base64(bytes, { url =, pad = }) */
static int encode_base64(lua_State *L) {
  struct slice bytes = check_text(L, 1);
  options_check(L, 2, base64_options);
  bool is_url = options_flag(L, 2, "url", false);
  bool is_padded = options_flag(L, 2, "pad", !is_url);
  push_base64(L, bytes, (is_url ? BASE64_URL : 0u) | (is_padded ? BASE64_PAD : 0u));
  return 1;
}

/* base64_decode(text, { url =, pad = }): without `pad` padding must be there, in base64url it may
 */
static int decode_base64(lua_State *L) {
  struct slice text = check_text(L, 1);
  options_check(L, 2, base64_options);
  bool is_url = options_flag(L, 2, "url", false);
  bool is_padded = options_flag(L, 2, "pad", !is_url),
       is_unpadded = !options_flag(L, 2, "pad", true);
  unsigned flags = is_url ? BASE64_URL : 0;
  if (is_padded)
    flags |= BASE64_PAD;
  else if (!is_unpadded)
    flags |= BASE64_PAD_OPTIONAL;
  luaL_Buffer bytes;
  size_t wrong;
  ptrdiff_t len = base64_decode(luaL_buffinitsize(L, &bytes, text.len), text, flags, &wrong);
  if (len < 0) raise_wrong(L, is_url ? "base64url" : "base64", text.len, wrong);
  luaL_pushresultsize(&bytes, (size_t)len);
  return 1;
}

/* hex(bytes) */
static int encode_hex(lua_State *L) {
  push_hex(L, check_text(L, 1));
  return 1;
}

/* hex_decode(text) */
static int decode_hex(lua_State *L) {
  struct slice text = check_text(L, 1);
  luaL_Buffer bytes;
  size_t wrong;
  ptrdiff_t len = base64_hex_decode(luaL_buffinitsize(L, &bytes, text.len), text, &wrong);
  if (len < 0) raise_wrong(L, "hex", text.len, wrong);
  luaL_pushresultsize(&bytes, (size_t)len);
  return 1;
}

void crypto_text_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"base64", encode_base64},
                                       {"base64_decode", decode_base64},
                                       {"hex", encode_hex},
                                       {"hex_decode", decode_hex},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
