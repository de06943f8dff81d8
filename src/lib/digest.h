/* digest.h - digests and MACs by name, made by libcrypto.
 *
 * No Lua: what needs a MAC for itself (signed cookies) uses these as well as perilune.crypto. */
#ifndef LIB_DIGEST_H
#define LIB_DIGEST_H

#include "base/base.h"

#include <openssl/evp.h>
#include <stdbool.h>

enum { DIGEST_BYTES_MAX = EVP_MAX_MD_SIZE };

/* [any thread] The digests that there are, ended by NULL. */
const char *const *digest_names(void);

/* [any thread] The digest of that name, or NULL. */
const EVP_MD *digest_find(const char *name);

/* [any thread] Writes the digest of the bytes and gives its length; 0 when libcrypto fails. */
size_t digest_hash(const EVP_MD *digest, struct slice bytes, char out[DIGEST_BYTES_MAX]);

/* [any thread] The same for the MAC under a key: HMAC, RFC 2104. */
size_t digest_hmac(const EVP_MD *digest, struct slice key, struct slice bytes,
                   char out[DIGEST_BYTES_MAX]);

/* [any thread] Random bytes of the kernel's; false when it gives none. */
bool digest_random(char *out, size_t len);

#endif
