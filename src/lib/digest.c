/* digest.c - names of digests, and what libcrypto does with them.
 *
 * md5 and sha1 are there for what others have made with them; nothing here chooses them. */
#include "lib/digest.h"

#include <errno.h>
#include <limits.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>

static const char *const names[] = {"sha256",   "sha384",   "sha512",   "sha224",     "sha512-256",
                                    "sha3-256", "sha3-384", "sha3-512", "blake2b512", "blake2s256",
                                    "sha1",     "md5",      NULL};

const char *const *digest_names(void) {
  return names;
}

const EVP_MD *digest_find(const char *name) {
  for (size_t i = 0; names[i]; i++)
    if (strcmp(name, names[i]) == 0) return EVP_get_digestbyname(name);
  return NULL;
}

size_t digest_hash(const EVP_MD *digest, struct slice bytes, char out[DIGEST_BYTES_MAX]) {
  unsigned len = 0;
  bool is_made = EVP_Digest(bytes.data, bytes.len, (unsigned char *)out, &len, digest, NULL) == 1;
  return is_made ? len : 0;
}

size_t digest_hmac(const EVP_MD *digest, struct slice key, struct slice bytes,
                   char out[DIGEST_BYTES_MAX]) {
  unsigned len = 0;
  const unsigned char *data = (const unsigned char *)bytes.data;
  if (key.len > INT_MAX) return 0;
  bool is_made =
      HMAC(digest, key.data, (int)key.len, data, bytes.len, (unsigned char *)out, &len) != NULL;
  return is_made ? len : 0;
}

bool digest_random(char *out, size_t len) {
  while (len > 0) {
    ssize_t got = getrandom(out, len, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    out += got;
    len -= (size_t)got;
  }
  return true;
}
