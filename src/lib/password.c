/* password.c - texts of password hashes, and scrypt.
 *
 * Texts are read strictly: what was written by password_write, and by other programs in the same
 * form, with nothing around it. */
#include "lib/password.h"

#include "base/base64.h"
#include "base/limits.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "$scrypt$"

enum { DIGITS_MAX = 3, SLACK_BYTES = 1 << 20 };

static uint64_t bytes_needed(const struct password *password) {
  return ((uint64_t)128 << password->ln) * (uint64_t)password->r;
}

bool password_is_affordable(const struct password *password) {
  return bytes_needed(password) <= PASSWORD_MEMORY_BYTES_MAX &&
         bytes_needed(password) * (uint64_t)password->p <= PASSWORD_WORK_BYTES_MAX;
}

/* ---- texts ---- */

static bool skip(const char **at, const char *text) {
  size_t len = strlen(text);
  if (strncmp(*at, text, len) != 0) return false;
  *at += len;
  return true;
}

/* A number from 1 to `largest`, without leading zeros. */
static bool read_number(const char **at, int largest, int *number) {
  size_t len = strspn(*at, "0123456789");
  if (len == 0 || len > DIGITS_MAX || **at == '0') return false;
  *number = (int)strtol(*at, NULL, 10);
  *at += len;
  return *number <= largest;
}

/* Bytes in base64 up to the next $ or the end. */
static bool read_bytes(const char **at, size_t len_max, char *out, size_t *len) {
  char bytes[PASSWORD_TEXT_BYTES];
  size_t wrong;
  struct slice text = {*at, strcspn(*at, "$")};
  if (text.len >= sizeof bytes) return false;
  ptrdiff_t count = base64_decode(bytes, text, 0, &wrong);
  if (count < 0 || (size_t)count > len_max) return false;
  memcpy(out, bytes, (size_t)count);
  *len = (size_t)count;
  *at += text.len;
  return true;
}

bool password_parse(const char *text, struct password *password) {
  const char *at = text;
  *password = (struct password){0};
  return skip(&at, PREFIX "ln=") && read_number(&at, PASSWORD_LN_MAX, &password->ln) &&
         skip(&at, ",r=") && read_number(&at, PASSWORD_R_MAX, &password->r) && skip(&at, ",p=") &&
         read_number(&at, PASSWORD_P_MAX, &password->p) && skip(&at, "$") &&
         read_bytes(&at, PASSWORD_SALT_BYTES_MAX, password->salt, &password->salt_len) &&
         skip(&at, "$") &&
         read_bytes(&at, PASSWORD_HASH_BYTES_MAX, password->hash, &password->hash_len) &&
         *at == '\0' && password->hash_len >= PASSWORD_HASH_BYTES_MIN;
}

static char *write_bytes(char *at, const char *bytes, size_t len) {
  *at++ = '$';
  base64_encode(at, (struct slice){bytes, len}, 0);
  return at + base64_len(len, 0);
}

void password_write(const struct password *password, char out[PASSWORD_TEXT_BYTES]) {
  int len = snprintf(out, PASSWORD_TEXT_BYTES, PREFIX "ln=%d,r=%d,p=%d", password->ln, password->r,
                     password->p);
  char *at = write_bytes(out + len, password->salt, password->salt_len);
  *write_bytes(at, password->hash, password->hash_len) = '\0';
}

/* ---- scrypt ---- */

bool password_derive(const struct password *password, struct slice secret,
                     char hash[PASSWORD_HASH_BYTES_MAX]) {
  uint64_t memory = bytes_needed(password) +
                    (uint64_t)128 * (uint64_t)password->r * (uint64_t)password->p + SLACK_BYTES;
  return EVP_PBE_scrypt(secret.data, secret.len, (const unsigned char *)password->salt,
                        password->salt_len, UINT64_C(1) << password->ln, (uint64_t)password->r,
                        (uint64_t)password->p, memory, (unsigned char *)hash,
                        password->hash_len) == 1;
}
