/* code.c - hashing, sealing and loading what lua_dump gives.
 *
 * The key never leaves the process and is not used for anything else. */
#include "core/code.h"

#include "base/hash.h"
#include "core/error.h"

#include <lauxlib.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { SEAL_BYTES = 16 }; /* of the 32 that the MAC has */

/* Registry key: address of the process's key. */
static const char key_key = 0;

void code_open(lua_State *L, const unsigned char key[CODE_KEY_BYTES]) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)key);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_key);
}

static const unsigned char *key_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_key);
  const unsigned char *key = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return key;
}

static int add_to_hash(lua_State *L, const void *data, size_t len, void *context) {
  (void)L;
  uint64_t *hash = context;
  *hash = hash_add(*hash, data, len);
  return 0;
}

static int add_to_buffer(lua_State *L, const void *data, size_t len, void *context) {
  (void)L;
  buffer_add(context, data, len);
  return 0;
}

static void dump(lua_State *L, int index, lua_Writer writer, void *context) {
  lua_pushvalue(L, index);
  lua_dump(L, writer, context, 0);
  lua_pop(L, 1);
}

uint64_t code_hash(lua_State *L, int index) {
  uint64_t hash = HASH_SEED;
  dump(L, index, add_to_hash, &hash);
  return hash;
}

static void make_seal(lua_State *L, const unsigned char *key, const char *data, size_t len,
                      unsigned char out[EVP_MAX_MD_SIZE]) {
  unsigned mac_len = 0;
  const unsigned char *bytes = (const unsigned char *)data;
  bool is_made = HMAC(EVP_sha256(), key, CODE_KEY_BYTES, bytes, len, out, &mac_len) != NULL;
  if (!is_made || mac_len < SEAL_BYTES) luaL_error(L, "cannot seal code: libcrypto failed");
}

bool code_write(lua_State *L, int index, struct buffer *out) {
  unsigned char seal[EVP_MAX_MD_SIZE];
  const unsigned char *key = key_of(L);
  if (!key) return false;
  size_t start = out->len;
  buffer_reserve(out, SEAL_BYTES);
  out->len += SEAL_BYTES;
  dump(L, index, add_to_buffer, out);
  make_seal(L, key, out->data + start + SEAL_BYTES, out->len - start - SEAL_BYTES, seal);
  memcpy(out->data + start, seal, SEAL_BYTES);
  return true;
}

static bool is_sealed(lua_State *L, const char *data, size_t len) {
  unsigned char seal[EVP_MAX_MD_SIZE];
  const unsigned char *key = key_of(L);
  if (!key || len < SEAL_BYTES) return false;
  make_seal(L, key, data + SEAL_BYTES, len - SEAL_BYTES, seal);
  return CRYPTO_memcmp(seal, data, SEAL_BYTES) == 0;
}

void code_push(lua_State *L, const char *data, size_t len) {
  if (!is_sealed(L, data, len))
    error_raise(L, "transfer", "the code of a function is not from this process");
  if (luaL_loadbufferx(L, data + SEAL_BYTES, len - SEAL_BYTES, "=code", "b") != LUA_OK)
    lua_error(L);
}
