/* crypto.c - digests, MACs, random bytes and comparing, for Lua.
 *
 * Little data is hashed where it is; more of it by libuv's threads, on a copy, unless the caller is
 * where nothing can wait. */
#include "lib/crypto.h"

#include "base/buffer.h"
#include "base/limits.h"
#include "core/error.h"
#include "core/worker.h"
#include "lib/crypto_password.h"
#include "lib/crypto_text.h"
#include "lib/digest.h"
#include "lib/options.h"
#include "lib/sync.h"
#include "lib/work.h"

#include <lauxlib.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#define CLASS "hasher"

static struct slice check_text(lua_State *L, int index) {
  struct slice text;
  luaL_checktype(L, index, LUA_TSTRING);
  text.data = lua_tolstring(L, index, &text.len);
  return text;
}

/* The digest that argument 1 names. */
static const EVP_MD *check_digest(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  const char *name = lua_tostring(L, 1), *const *names = digest_names();
  const EVP_MD *digest = digest_find(name);
  if (digest) return digest;
  luaL_Buffer list;
  luaL_buffinit(L, &list);
  for (size_t i = 0; names[i]; i++) {
    if (i > 0) luaL_addstring(&list, ", ");
    luaL_addstring(&list, names[i]);
  }
  luaL_pushresult(&list);
  luaL_error(L, "unknown digest \"%s\" (did you mean \"%s\"?): there are %s", name,
             options_nearest(name, names), lua_tostring(L, -1));
  return NULL;
}

static lua_nret fail(lua_State *L) {
  error_push(L, "crypto", "libcrypto cannot do it");
  return WORK_FAILED;
}

/* ---- digests and MACs ---- */

struct job {
  struct work work;
  const EVP_MD *digest;
  bool has_key;
  struct buffer key, data;
  enum crypto_encoding encoding;
  char out[DIGEST_BYTES_MAX];
  size_t len;
};

static size_t compute(const EVP_MD *digest, const struct slice *key, struct slice data,
                      char out[DIGEST_BYTES_MAX]) {
  return key ? digest_hmac(digest, *key, data, out) : digest_hash(digest, data, out);
}

static void run(struct offload *offload) {
  struct job *job = container_of(offload, struct job, work.offload);
  struct slice key = {job->key.data ? job->key.data : "", job->key.len};
  struct slice data = {job->data.data, job->data.len};
  job->len = compute(job->digest, job->has_key ? &key : NULL, data, job->out);
}

static void destroy(struct offload *offload) {
  struct job *job = container_of(offload, struct job, work.offload);
  if (job->key.data) OPENSSL_cleanse(job->key.data, job->key.len);
  buffer_finish(&job->key);
  buffer_finish(&job->data);
  free(job);
}

static lua_nret end(lua_State *L, struct work *work) {
  const struct job *job = container_of(work, struct job, work);
  if (job->len == 0) return fail(L);
  crypto_text_push(L, (struct slice){job->out, job->len}, job->encoding);
  return 1;
}

static bool can_wait(lua_State *L) {
  const struct fiber *fiber = fiber_running(L);
  return fiber && lua_isyieldable(L) && fiber->unyieldable == 0 &&
         !fiber->worker->role->runs_blocking;
}

static lua_nret make(lua_State *L, const char *what, const EVP_MD *digest, const struct slice *key,
                     struct slice data, enum crypto_encoding encoding) {
  if (data.len > CRYPTO_INLINE_BYTES_MAX && can_wait(L)) {
    struct job *job = work_push(L, sizeof *job, run, destroy);
    job->digest = digest;
    job->encoding = encoding;
    job->has_key = key != NULL;
    if (key) buffer_add(&job->key, key->data, key->len);
    buffer_add(&job->data, data.data, data.len);
    return work_run(L, what, end);
  }
  char out[DIGEST_BYTES_MAX];
  size_t len = compute(digest, key, data, out);
  if (len == 0) {
    fail(L);
    return lua_error(L);
  }
  crypto_text_push(L, (struct slice){out, len}, encoding);
  return 1;
}

/* hash(name, data, { encoding = }) */
static int hash(lua_State *L) {
  lua_settop(L, 3);
  const EVP_MD *digest = check_digest(L);
  struct slice data = check_text(L, 2);
  enum crypto_encoding encoding = crypto_text_check(L, 3, CRYPTO_HEX);
  return make(L, "crypto.hash", digest, NULL, data, encoding);
}

/* hmac(name, key, data, { encoding = }) */
static int hmac(lua_State *L) {
  lua_settop(L, 4);
  const EVP_MD *digest = check_digest(L);
  struct slice key = check_text(L, 2), data = check_text(L, 3);
  enum crypto_encoding encoding = crypto_text_check(L, 4, CRYPTO_HEX);
  return make(L, "crypto.hmac", digest, &key, data, encoding);
}

/* ---- hashing piece by piece ---- */

struct hasher {
  EVP_MD_CTX *context; /* NULL: the digest was taken */
};

static struct hasher *check_hasher(lua_State *L, const char *method) {
  struct hasher *hasher = sync_check(L, CLASS, method);
  if (!hasher->context) luaL_error(L, "hasher:%s: the digest was taken already", method);
  return hasher;
}

static void finish_hasher(struct hasher *hasher) {
  EVP_MD_CTX_free(hasher->context);
  hasher->context = NULL;
}

/* hasher(name) */
static int create_hasher(lua_State *L) {
  const EVP_MD *digest = check_digest(L);
  struct hasher *hasher = sync_push(L, sizeof *hasher, SYNC_OWN_CLASS);
  hasher->context = EVP_MD_CTX_new();
  if (hasher->context && EVP_DigestInit_ex(hasher->context, digest, NULL) == 1) return 1;
  finish_hasher(hasher);
  fail(L);
  return lua_error(L);
}

/* hasher:update(data) -> the hasher */
static int update(lua_State *L) {
  struct hasher *hasher = check_hasher(L, "update");
  struct slice data = check_text(L, 2);
  lua_settop(L, 1);
  if (EVP_DigestUpdate(hasher->context, data.data, data.len) == 1) return 1;
  fail(L);
  return lua_error(L);
}

/* hasher:digest({ encoding = }), once */
static int take_digest(lua_State *L) {
  struct hasher *hasher = check_hasher(L, "digest");
  enum crypto_encoding encoding = crypto_text_check(L, 2, CRYPTO_HEX);
  char out[DIGEST_BYTES_MAX];
  unsigned len = 0;
  bool is_made = EVP_DigestFinal_ex(hasher->context, (unsigned char *)out, &len) == 1;
  finish_hasher(hasher);
  if (!is_made) {
    fail(L);
    return lua_error(L);
  }
  crypto_text_push(L, (struct slice){out, len}, encoding);
  return 1;
}

static int release_hasher(lua_State *L) {
  finish_hasher(lua_touserdata(L, 1));
  return 0;
}

/* ---- random bytes ---- */

static int raise_no_random(lua_State *L) {
  error_raise(L, "crypto", "the kernel gives no random bytes");
}

/* random(n, { encoding = }) -> n bytes, as they are unless told */
static int make_random(lua_State *L) {
  lua_Integer count = luaL_checkinteger(L, 1);
  luaL_argcheck(L, count >= 0 && count <= CRYPTO_RANDOM_BYTES_MAX, 1,
                lua_pushfstring(L, "a number of bytes from 0 to %d expected, got %I",
                                CRYPTO_RANDOM_BYTES_MAX, (LUAI_UACINT)count));
  lua_settop(L, 2);
  enum crypto_encoding encoding = crypto_text_check(L, 2, CRYPTO_RAW);
  char *bytes = lua_newuserdatauv(L, (size_t)count + 1, 0);
  if (!digest_random(bytes, (size_t)count)) return raise_no_random(L);
  crypto_text_push(L, (struct slice){bytes, (size_t)count}, encoding);
  return 1;
}

/* uuid() -> a random one, RFC 9562 version 4 */
static int make_uuid(lua_State *L) {
  enum { VERSION_AT = 6, VARIANT_AT = 8, UUID_BYTES = 16, TEXT_BYTES = 37 };
  unsigned char bytes[UUID_BYTES];
  char text[TEXT_BYTES], *at = text;
  if (!digest_random((char *)bytes, sizeof bytes)) return raise_no_random(L);
  bytes[VERSION_AT] = (unsigned char)((bytes[VERSION_AT] & 0x0f) | 0x40);
  bytes[VARIANT_AT] = (unsigned char)((bytes[VARIANT_AT] & 0x3f) | 0x80);
  for (int i = 0; i < UUID_BYTES; i++) {
    bool is_first_of_group = i == 4 || i == 6 || i == 8 || i == 10;
    at += snprintf(at, (size_t)(text + sizeof text - at), is_first_of_group ? "-%02x" : "%02x",
                   bytes[i]);
  }
  lua_pushstring(L, text);
  return 1;
}

/* equal(a, b) -> whether they are the same bytes; how long that takes tells only of their length */
static int equal(lua_State *L) {
  struct slice a = check_text(L, 1), b = check_text(L, 2);
  lua_pushboolean(L, a.len == b.len && CRYPTO_memcmp(a.data, b.data, a.len) == 0);
  return 1;
}

int crypto_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"hash", hash},          {"hmac", hmac},
                                       {"random", make_random}, {"uuid", make_uuid},
                                       {"equal", equal},        {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"update", update}, {"digest", take_digest}, {"__gc", release_hasher}, {NULL, NULL}};
  luaL_newlib(L, functions);
  crypto_text_open(L);
  crypto_password_open(L);
  sync_push_class(L, CLASS, methods, 0);
  sync_add_constructor(L, CLASS, create_hasher);
  return 1;
}
