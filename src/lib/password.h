/* password.h - hashes of passwords: scrypt (RFC 7914), its parameters in the text.
 *
 * `$scrypt$ln=15,r=8,p=1$SALT$HASH`: the cost 2^ln, the block size, the parallelism, then salt and
 * hash in base64 without padding. What a text may ask for is bounded: it may come from anywhere. */
#ifndef LIB_PASSWORD_H
#define LIB_PASSWORD_H

#include "base/base.h"

#include <stdbool.h>

enum {
  PASSWORD_SALT_BYTES_MAX = 64,
  PASSWORD_HASH_BYTES_MIN = 16,
  PASSWORD_HASH_BYTES_MAX = 64,
  PASSWORD_TEXT_BYTES = 256, /* enough for any such text, terminated */
  PASSWORD_LN_MAX = 24,
  PASSWORD_R_MAX = 64,
  PASSWORD_P_MAX = 64
};

struct password {
  int ln, r, p;
  size_t salt_len, hash_len;
  char salt[PASSWORD_SALT_BYTES_MAX], hash[PASSWORD_HASH_BYTES_MAX];
};

/* [any thread] Whether the parameters need no more memory and time than the limits allow. */
bool password_is_affordable(const struct password *password);

/* [any thread] Reads a text; false when it is none. */
bool password_parse(const char *text, struct password *password);

/* [any thread] Writes the text, terminated. */
void password_write(const struct password *password, char out[PASSWORD_TEXT_BYTES]);

/* [any thread] Writes the hash of a password under parameters and salt to `hash`, of hash_len
 * bytes. Takes its time; false when there is no memory. */
bool password_derive(const struct password *password, struct slice secret,
                     char hash[PASSWORD_HASH_BYTES_MAX]);

#endif
