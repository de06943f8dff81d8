/* encoded_cache.h - compressed files that are asked for often, kept in memory.
 *
 * Least recently used ones go when there are more bytes than the limit. A body is shared by all who
 * send it and by the cache: it is counted, belongs to one worker, and stays until the last has
 * released it, the cache being gone or not. Knows nothing of files but what tells one version of
 * them from another. */
#ifndef HTTP_ENCODED_CACHE_H
#define HTTP_ENCODED_CACHE_H

#include "base/base.h"
#include "base/buffer.h"
#include "base/list.h"
#include "http/encoding.h"

struct encoded;

enum { ENCODED_CACHE_SLOTS = 256 };

struct encoded_cache {
  size_t bytes, bytes_max;                 /* of the bodies and what is known of them */
  struct list _used;                       /* encoded.used: the last used first */
  struct list _slots[ENCODED_CACHE_SLOTS]; /* encoded.slot */
};

/* One version of a file in one coding. */
struct encoded_key {
  uint64_t device, inode, size;
  int64_t modified_seconds;
  uint32_t modified_ns;
  enum encoding encoding;
};

/* [owner] An empty cache that keeps up to `bytes_max`. */
void encoded_cache_init(struct encoded_cache *cache, size_t bytes_max);

/* [owner] Releases all it has; accepts a zeroed struct. */
void encoded_cache_finish(struct encoded_cache *cache);

/* [owner] The body, which the caller releases; NULL when there is none. */
struct encoded *encoded_cache_find(struct encoded_cache *cache, const struct encoded_key *key);

/* [owner] Keeps a body, in place of what was there for the key; one larger than the limit is not
 * kept. */
void encoded_cache_keep(struct encoded_cache *cache, const struct encoded_key *key,
                        struct encoded *encoded);

/* [owner] A body made of the buffer's memory, which is taken over: the buffer is empty then. The
 * caller releases it. */
struct encoded *encoded_cache_make(struct buffer *body);

/* [owner] The bytes, valid until it is released. */
struct slice encoded_cache_bytes(const struct encoded *encoded);

/* [owner] Ends the caller's use; accepts NULL. */
void encoded_cache_release(struct encoded *encoded);

#endif
