/* encoded_cache.c - a hash table of counted bodies and the list of their last use.
 *
 * Pure: no loop, no clock, no files. What a body costs is the memory it holds, the room in its
 * buffer included. */
#include "http/encoded_cache.h"

#include <assert.h>
#include <stdlib.h>

struct encoded {
  struct list used, slot; /* encoded_cache._used and ._slots; linked to themselves: not kept */
  uint32_t users;         /* the cache is one */
  struct encoded_key key;
  struct buffer body;
};

static size_t cost(const struct encoded *encoded) {
  return sizeof *encoded + encoded->body.cap;
}

static bool is_same(const struct encoded_key *a, const struct encoded_key *b) {
  return a->inode == b->inode && a->modified_ns == b->modified_ns && a->encoding == b->encoding &&
         a->modified_seconds == b->modified_seconds && a->size == b->size && a->device == b->device;
}

/* Files of one directory differ in their inodes, one after the other. */
static struct list *slot_of(struct encoded_cache *cache, const struct encoded_key *key) {
  uint64_t hash = key->inode * ENCODING_COUNT + (uint64_t)key->encoding + key->device;
  return &cache->_slots[hash % ENCODED_CACHE_SLOTS];
}

void encoded_cache_init(struct encoded_cache *cache, size_t bytes_max) {
  *cache = (struct encoded_cache){.bytes_max = bytes_max};
  list_init(&cache->_used);
  for (size_t i = 0; i < ENCODED_CACHE_SLOTS; i++) list_init(&cache->_slots[i]);
}

static void drop(struct encoded_cache *cache, struct encoded *encoded) {
  assert(cache->bytes >= cost(encoded));
  list_remove(&encoded->used);
  list_remove(&encoded->slot);
  cache->bytes -= cost(encoded);
  encoded_cache_release(encoded);
}

void encoded_cache_finish(struct encoded_cache *cache) {
  if (!cache->_used.next) return;
  while (!list_is_empty(&cache->_used))
    drop(cache, container_of(cache->_used.next, struct encoded, used));
  assert(cache->bytes == 0);
  *cache = (struct encoded_cache){0};
}

static struct encoded *find(struct encoded_cache *cache, const struct encoded_key *key) {
  struct list *slot = slot_of(cache, key);
  for (struct list *link = slot->next; link != slot; link = link->next) {
    struct encoded *encoded = container_of(link, struct encoded, slot);
    if (is_same(&encoded->key, key)) return encoded;
  }
  return NULL;
}

struct encoded *encoded_cache_find(struct encoded_cache *cache, const struct encoded_key *key) {
  struct encoded *encoded = find(cache, key);
  if (!encoded) return NULL;
  list_remove(&encoded->used);
  list_push_front(&cache->_used, &encoded->used);
  encoded->users++;
  return encoded;
}

void encoded_cache_keep(struct encoded_cache *cache, const struct encoded_key *key,
                        struct encoded *encoded) {
  assert(list_is_empty(&encoded->used) && "it is kept already");
  if (cost(encoded) > cache->bytes_max) return;
  struct encoded *old = find(cache, key);
  if (old) drop(cache, old);
  while (cache->bytes + cost(encoded) > cache->bytes_max)
    drop(cache, container_of(cache->_used.prev, struct encoded, used));
  encoded->key = *key;
  encoded->users++;
  cache->bytes += cost(encoded);
  list_push_front(&cache->_used, &encoded->used);
  list_push_front(slot_of(cache, key), &encoded->slot);
}

struct encoded *encoded_cache_make(struct buffer *body) {
  struct encoded *encoded = memory_alloc_zero(sizeof *encoded);
  list_init(&encoded->used);
  list_init(&encoded->slot);
  encoded->users = 1;
  encoded->body = *body;
  *body = (struct buffer){0};
  return encoded;
}

struct slice encoded_cache_bytes(const struct encoded *encoded) {
  return (struct slice){encoded->body.data, encoded->body.len};
}

void encoded_cache_release(struct encoded *encoded) {
  if (!encoded) return;
  assert(encoded->users > 0);
  if (--encoded->users > 0) return;
  buffer_finish(&encoded->body);
  free(encoded);
}
