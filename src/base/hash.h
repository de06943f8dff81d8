/* hash.h - FNV-1a with 64 bits: for telling things apart, not against an attacker.
 *
 * Start with HASH_SEED and add bytes piece by piece; where the pieces begin does not count, so add
 * lengths where that matters. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_SEED 0xCBF29CE484222325ull

/* The hash so far with `len` more bytes. */
static inline uint64_t hash_add(uint64_t hash, const void *data, size_t len) {
  const unsigned char *bytes = data;
  for (size_t i = 0; i < len; i++) hash = (hash ^ bytes[i]) * 0x100000001B3ull;
  return hash;
}

#endif
