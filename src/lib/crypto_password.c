/* crypto_password.c - hashing and verifying passwords for Lua.
 *
 * A hash that is none, or asks for more than the limits allow, is an error before anything is
 * computed. Copies of passwords are wiped. */
#include "lib/crypto_password.h"

#include "base/buffer.h"
#include "base/limits.h"
#include "core/error.h"
#include "lib/digest.h"
#include "lib/options.h"
#include "lib/password.h"
#include "lib/work.h"

#include <lauxlib.h>
#include <openssl/crypto.h>
#include <stdlib.h>

enum {
  SALT_BYTES = 16,
  HASH_BYTES = 32,
  LN_MIN = 10,
  LN_LARGEST = 20,
  DEFAULT_R = 8,
  DEFAULT_P = 1
};

struct job {
  struct work work;
  struct password password;
  struct buffer secret;
  char hash[PASSWORD_HASH_BYTES_MAX]; /* that was computed */
  bool is_made;
};

static void run(struct offload *offload) {
  struct job *job = container_of(offload, struct job, work.offload);
  struct slice secret = {job->secret.data ? job->secret.data : "", job->secret.len};
  job->is_made = password_derive(&job->password, secret, job->hash);
}

static void destroy(struct offload *offload) {
  struct job *job = container_of(offload, struct job, work.offload);
  if (job->secret.data) OPENSSL_cleanse(job->secret.data, job->secret.len);
  buffer_finish(&job->secret);
  free(job);
}

static struct job *push_job(lua_State *L, const struct password *password, struct slice secret) {
  struct job *job = work_push(L, sizeof *job, run, destroy);
  job->password = *password;
  buffer_add(&job->secret, secret.data, secret.len);
  return job;
}

static lua_nret fail(lua_State *L) {
  error_push(L, "crypto", "the password cannot be hashed: libcrypto has no memory for it");
  return WORK_FAILED;
}

static struct slice check_password(lua_State *L) {
  struct slice secret;
  luaL_checktype(L, 1, LUA_TSTRING);
  secret.data = lua_tolstring(L, 1, &secret.len);
  return secret;
}

/* ---- hashing ---- */

static lua_nret end_hash(lua_State *L, struct work *work) {
  struct job *job = container_of(work, struct job, work);
  char text[PASSWORD_TEXT_BYTES];
  if (!job->is_made) return fail(L);
  memcpy(job->password.hash, job->hash, job->password.hash_len);
  password_write(&job->password, text);
  lua_pushstring(L, text);
  return 1;
}

static void check_parameters(lua_State *L, int index, struct password *password) {
  static const char *const names[] = {"ln", "r", "p", NULL};
  options_check(L, index, names);
  password->ln = (int)options_integer(L, index, "ln", PASSWORD_LN, LN_MIN, LN_LARGEST);
  password->r = (int)options_integer(L, index, "r", DEFAULT_R, 1, PASSWORD_R_MAX);
  password->p = (int)options_integer(L, index, "p", DEFAULT_P, 1, PASSWORD_P_MAX);
  if (!password_is_affordable(password))
    luaL_error(L, "ln=%d, r=%d and p=%d take more memory or time than is allowed", password->ln,
               password->r, password->p);
}

/* password_hash(password, { ln = 15, r = 8, p = 1 }) */
static int hash(lua_State *L) {
  struct slice secret = check_password(L);
  struct password password = {.salt_len = SALT_BYTES, .hash_len = HASH_BYTES};
  luaL_argcheck(L, secret.len <= PASSWORD_BYTES_MAX, 1,
                lua_pushfstring(L, "a password has at most %d bytes", PASSWORD_BYTES_MAX));
  lua_settop(L, 2);
  check_parameters(L, 2, &password);
  if (!digest_random(password.salt, password.salt_len))
    return luaL_error(L, "there are no random numbers");
  push_job(L, &password, secret);
  return work_run(L, "crypto.password_hash", end_hash);
}

/* ---- verifying ---- */

static lua_nret end_verify(lua_State *L, struct work *work) {
  const struct job *job = container_of(work, struct job, work);
  if (!job->is_made) return fail(L);
  lua_pushboolean(L, CRYPTO_memcmp(job->hash, job->password.hash, job->password.hash_len) == 0);
  return 1;
}

/* password_verify(password, hash) */
static int verify(lua_State *L) {
  struct slice secret = check_password(L);
  struct password password;
  size_t len;
  luaL_checktype(L, 2, LUA_TSTRING);
  const char *text = lua_tolstring(L, 2, &len);
  lua_settop(L, 2);
  if (strlen(text) != len || !password_parse(text, &password))
    error_raise(L, "crypto", "not a password hash: $scrypt$ln=15,r=8,p=1$SALT$HASH expected");
  if (!password_is_affordable(&password))
    error_raise(L, "crypto", "the password hash asks for more memory or time than is allowed");
  if (secret.len > PASSWORD_BYTES_MAX) {
    lua_pushboolean(L, false);
    return 1;
  }
  push_job(L, &password, secret);
  return work_run(L, "crypto.password_verify", end_verify);
}

void crypto_password_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"password_hash", hash}, {"password_verify", verify}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
