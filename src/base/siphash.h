/* siphash.h - SipHash-1-3 with 64 bits: for tables whose keys come from outside.
 *
 * Who does not know the secret cannot choose keys that fall together. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
  uint64_t words[2];
};

/* [any thread] A secret from the kernel's random numbers. */
struct siphash_key siphash_make_key(void);

/* [any thread] The hash of `len` bytes. */
uint64_t siphash(const struct siphash_key *key, const void *data, size_t len);

#endif
