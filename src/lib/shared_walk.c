/* shared_walk.c - keys as bytes, chain by chain.
 *
 * While somebody walks through a shard its entries stay in their chains. Memory for what a chain
 * has is allocated outside of the gate. */
#include "lib/shared_walk.h"

#include "base/limits.h"

#include <string.h>

enum { CHAINS_MAX = STRESSED(64, 1) }; /* that are read in one go */

/* A key in the listing: its length, or this and the integer; then the text. */
#define IS_INTEGER SIZE_MAX

static bool is_listed(const struct shard_entry *entry, uint64_t now_ns) {
  return entry->value.type != SHARED_NIL && (entry->due_ns == 0 || entry->due_ns > now_ns);
}

static size_t count_bytes(const struct shard_entry *entry) {
  return sizeof(size_t) + (entry->has_integer_key ? sizeof entry->integer : entry->len);
}

static void add_key(const struct shard_entry *entry, struct buffer *keys) {
  size_t len = entry->has_integer_key ? IS_INTEGER : entry->len;
  buffer_add(keys, &len, sizeof len);
  if (entry->has_integer_key)
    buffer_add(keys, &entry->integer, sizeof entry->integer);
  else
    buffer_add(keys, entry->text, entry->len);
}

/* Inside: reads a chain if there is room for what it has; else gives the bytes that needs. */
static size_t read_chain(struct shared_walk *walk, uint64_t now_ns) {
  const struct shard_entry *first = *ladder_at(&walk->shard->chains, walk->chain);
  size_t bytes = 0;
  for (const struct shard_entry *entry = first; entry; entry = entry->next)
    if (is_listed(entry, now_ns)) bytes += count_bytes(entry);
  if (walk->keys.cap - walk->keys.len < bytes) return bytes;
  for (const struct shard_entry *entry = first; entry; entry = entry->next)
    if (is_listed(entry, now_ns)) add_key(entry, &walk->keys);
  walk->chain++;
  return 0;
}

/* Inside: reads some chains; gives the bytes that are needed before it can go on. */
static size_t read_chains(struct shared_walk *walk, struct shard *shard, uint64_t now_ns) {
  size_t needed = 0;
  if (!walk->shard) shard->walkers++;
  walk->shard = shard;
  for (int i = 0; i < CHAINS_MAX && walk->chain < shard->chain_count && needed == 0; i++)
    needed = read_chain(walk, now_ns);
  if (walk->chain < shard->chain_count) return needed;
  shard->walkers--;
  walk->shard = NULL;
  walk->chain = 0;
  walk->number++;
  return 0;
}

enum shared_result shared_walk_on(struct shared_call *call, struct shared_walk *walk) {
  struct shard *shard;
  while ((shard = shared_table_shard(call->table, walk->number))) {
    call->gate = &shard->gate;
    if (call->waits)
      gate_enter(&shard->gate);
    else if (!gate_try(&shard->gate))
      return SHARED_BUSY;
    size_t needed = read_chains(walk, shard, call->now_ns);
    gate_leave(&shard->gate);
    if (needed > 0) buffer_reserve(&walk->keys, needed);
  }
  return SHARED_DONE;
}

bool shared_walk_read(const struct shared_walk *walk, size_t *at, struct shared_key *key) {
  const char *data = walk->keys.data + *at;
  size_t len;
  *key = (struct shared_key){0};
  if (*at == walk->keys.len) return false;
  memcpy(&len, data, sizeof len);
  data += sizeof len;
  if (len == IS_INTEGER) {
    memcpy(&key->integer, data, sizeof key->integer);
    len = sizeof key->integer;
  } else {
    key->text = data;
    key->len = len;
  }
  *at += sizeof len + len;
  return true;
}

void shared_walk_finish(struct shared_walk *walk) {
  if (walk->shard) {
    gate_enter(&walk->shard->gate);
    walk->shard->walkers--;
    gate_leave(&walk->shard->gate);
  }
  buffer_finish(&walk->keys);
  *walk = (struct shared_walk){0};
}
