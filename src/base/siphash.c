/* siphash.c - SipHash by Aumasson and Bernstein, with one round for a word and three at the end.
 *
 * That is what Rust and Ruby hash keys of their tables with. Words are read as the processor has
 * them: hashes are good in this process only. */
#include "base/siphash.h"

#include <string.h>
#include <sys/random.h>
#include <uv.h>

struct siphash_key siphash_make_key(void) {
  struct siphash_key key = {{uv_hrtime(), (uint64_t)uv_os_getpid()}};
  if (getrandom(&key, sizeof key, 0) != sizeof key) key.words[1] ^= uv_hrtime() << 32;
  return key;
}

static uint64_t rotate(uint64_t word, int bits) {
  return word << bits | word >> (64 - bits);
}

static void mix(uint64_t v[4]) {
  v[0] += v[1];
  v[2] += v[3];
  v[1] = rotate(v[1], 13) ^ v[0];
  v[3] = rotate(v[3], 16) ^ v[2];
  v[0] = rotate(v[0], 32);
  v[2] += v[1];
  v[0] += v[3];
  v[1] = rotate(v[1], 17) ^ v[2];
  v[3] = rotate(v[3], 21) ^ v[0];
  v[2] = rotate(v[2], 32);
}

static void add_word(uint64_t v[4], uint64_t word) {
  v[3] ^= word;
  mix(v);
  v[0] ^= word;
}

uint64_t siphash(const struct siphash_key *key, const void *data, size_t len) {
  uint64_t v[4] = {key->words[0] ^ 0x736F6D6570736575u, key->words[1] ^ 0x646F72616E646F6Du,
                   key->words[0] ^ 0x6C7967656E657261u, key->words[1] ^ 0x7465646279746573u};
  const char *bytes = data;
  size_t left = len;
  for (; left >= sizeof(uint64_t); left -= sizeof(uint64_t), bytes += sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    add_word(v, word);
  }
  uint64_t last = (uint64_t)len << 56, rest = 0;
  if (left > 0) memcpy(&rest, bytes, left);
  add_word(v, last | rest);
  v[2] ^= 0xFF;
  for (int i = 0; i < 3; i++) mix(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}
