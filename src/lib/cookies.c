/* cookies.c - cookies as Lua tables and texts, signing and verifying.
 *
 * Signatures are made by OpenSSL and compared in constant time. A secret is looked at wherever it
 * is used: one that is too short is an error at the caller's line, never a weak signature. */
#include "lib/cookies.h"

#include "base/base64.h"
#include "base/limits.h"
#include "http/cookie.h"
#include "http/field.h"
#include "lib/digest.h"
#include "lib/req.h"

#include <lauxlib.h>
#include <openssl/crypto.h>
#include <string.h>

enum {
  MAC_BYTES = 32,     /* of SHA-256 */
  MAC_TEXT_BYTES = 43 /* in base64url, without padding */
};

void cookies_add(lua_State *L, struct slice field) {
  struct slice name, value;
  while (cookie_next(&field, &name, &value)) {
    lua_pushlstring(L, name.data, name.len);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {
      lua_pop(L, 2);
      continue;
    }
    lua_pop(L, 1);
    luaL_Buffer decoded;
    char *out = luaL_buffinitsize(L, &decoded, value.len);
    luaL_pushresultsize(&decoded, cookie_decode(out, value));
    lua_rawset(L, -3);
  }
}

/* ---- signatures ---- */

/* The text on top, which is a secret; its place on the stack keeps it. */
static struct slice check_secret(lua_State *L) {
  struct slice secret = {"", 0};
  if (lua_type(L, -1) == LUA_TSTRING) secret.data = lua_tolstring(L, -1, &secret.len);
  if (secret.len < COOKIE_SECRET_BYTES_MIN)
    luaL_error(L, "a secret is a string of at least %d bytes, or a list of such strings",
               COOKIE_SECRET_BYTES_MIN);
  return secret;
}

/* Writes the MAC of name=value. */
static void sign(lua_State *L, struct slice secret, struct slice name, struct slice value,
                 char out[MAC_TEXT_BYTES]) {
  char mac[DIGEST_BYTES_MAX];
  struct buffer text = {0};
  buffer_add(&text, name.data, name.len);
  buffer_add_byte(&text, '=');
  buffer_add(&text, value.data, value.len);
  size_t len = digest_hmac(EVP_sha256(), secret, (struct slice){text.data, text.len}, mac);
  buffer_finish(&text);
  if (len != MAC_BYTES) luaL_error(L, "cannot sign a cookie: libcrypto failed");
  base64_encode(out, (struct slice){mac, len}, BASE64_URL);
}

/* How many secrets there are at `index`: 1 when it is a string. */
static lua_Integer count_secrets(lua_State *L, int index) {
  return lua_istable(L, index) ? (lua_Integer)lua_rawlen(L, index) : 1;
}

/* Pushes one of the secrets at `index`, from 1. */
static struct slice push_secret(lua_State *L, int index, lua_Integer i) {
  if (lua_istable(L, index))
    lua_rawgeti(L, index, i);
  else
    lua_pushvalue(L, index);
  return check_secret(L);
}

/* All of them are looked at, whichever is right. */
static bool verify(lua_State *L, int secrets, struct slice name, struct slice value,
                   const char *mac) {
  bool is_right = false;
  lua_Integer count = count_secrets(L, secrets);
  for (lua_Integer i = 1; i == 1 || i <= count; i++) {
    char expected[MAC_TEXT_BYTES];
    sign(L, push_secret(L, secrets, i), name, value, expected);
    is_right |= CRYPTO_memcmp(expected, mac, MAC_TEXT_BYTES) == 0;
    lua_pop(L, 1);
  }
  return is_right;
}

int cookies_read_signed(lua_State *L) {
  struct slice name, text;
  req_find_origin(L, 1, "signed_cookie");
  name.data = luaL_checklstring(L, 2, &name.len);
  lua_settop(L, 3);
  push_secret(L, 3, 1); /* a wrong one is told of even where there is no cookie */
  lua_getfield(L, 1, "cookies");
  lua_pushvalue(L, 2);
  if (lua_type(L, -2) != LUA_TTABLE || lua_rawget(L, -2) != LUA_TSTRING) return 0;
  text.data = lua_tolstring(L, -1, &text.len);
  if (text.len <= MAC_TEXT_BYTES) return 0;
  const char *mac = text.data + text.len - MAC_TEXT_BYTES;
  if (mac[-1] != '.') return 0;
  struct slice value = {text.data, text.len - MAC_TEXT_BYTES - 1};
  if (!verify(L, 3, name, value, mac)) return 0;
  lua_pushlstring(L, value.data, value.len);
  return 1;
}

/* ---- writing ---- */

/* pair(name, value, secret or nil) -> "name=value", encoded and perhaps signed */
static int pair(lua_State *L) {
  struct slice name, value;
  name.data = luaL_checklstring(L, 1, &name.len);
  value.data = luaL_checklstring(L, 2, &value.len);
  lua_settop(L, 3);
  if (!field_is_token(name))
    return luaL_error(L,
                      "\"%s\" is no name of a cookie: blanks, control characters and "
                      "()<>@,;:\\\"/[]?={} may not be in it",
                      name.data);
  char mac[MAC_TEXT_BYTES];
  bool is_signed = !lua_isnil(L, 3);
  if (is_signed) sign(L, push_secret(L, 3, 1), name, value, mac);
  struct buffer text = {0};
  buffer_add(&text, name.data, name.len);
  buffer_add_byte(&text, '=');
  cookie_encode(&text, value);
  if (is_signed) {
    buffer_add_byte(&text, '.');
    buffer_add(&text, mac, MAC_TEXT_BYTES);
  }
  char *kept = lua_newuserdatauv(L, text.len, 0); /* a raise below leaves nothing behind */
  struct slice whole = {memcpy(kept, text.data, text.len), text.len};
  buffer_finish(&text);
  if (whole.len > COOKIE_BYTES_MAX)
    return luaL_error(L, "cookie \"%s\" has %d bytes, encoded and with its name: browsers keep %d",
                      name.data, (int)whole.len, COOKIE_BYTES_MAX);
  lua_pushlstring(L, whole.data, whole.len);
  return 1;
}

int cookies_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"pair", pair}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
