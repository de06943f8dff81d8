/* shard.h - a part of a shared table: its entries by key, by when they are due, by last use.
 *
 * Everything here happens inside the shard's gate, in a few steps: entries lie in chains that grow
 * and shrink one at a time, and nothing is allocated or freed. What a change needs is brought along
 * in a `struct shard_luggage`, and what it leaves over is taken out in it. */
#ifndef LIB_SHARD_H
#define LIB_SHARD_H

#include "base/ladder.h"
#include "base/list.h"
#include "core/gate.h"
#include "lib/shared_value.h"

#include <stdbool.h>

struct shared_key {
  const char *text; /* NULL: an integer */
  size_t len;
  int64_t integer;
  uint64_t hash;
};

struct shard_entry {
  struct shard_entry *next; /* in its chain; or among those that were taken out */
  uint64_t hash;
  struct shared_value value; /* nil: only there for the sake of who waits for one */
  uint64_t version;          /* of the value; none is given twice in a shard */
  uint64_t due_ns;           /* when it expires; 0: never */
  uint64_t listed_ns;        /* what the heap has for that: no later */
  uint32_t due_at;           /* place in the heap + 1; 0: none */
  bool has_integer_key;
  struct list used;    /* shard.used, in tables that evict */
  struct list waiters; /* shared_waiter.link */
  int64_t integer;
  size_t len; /* of the key's text */
  char text[];
};

struct shard {
  _Alignas(64) struct gate gate;
  uint32_t entry_count, chain_count, due_count;
  uint32_t walkers;          /* while there are some, entries stay in their chains */
  uint64_t version;          /* of the last change */
  struct ladder chains, due; /* due: a heap, what is due first on top */
  struct list used;          /* shard_entry.used, what was not used for longest first */
};

/* Memory on its way in and out. */
struct shard_luggage {
  struct shard_entry *entry; /* new, with its key */
  void **chains, **due;      /* rungs of so many pointers */
  uint32_t chains_len, due_len;
  bool lacks_chains, lacks_due;  /* another rung is needed */
  struct shard_entry *taken_out; /* by shard_entry.next */
  void **dropped[2];
};

/* [any thread] A zeroed shard, empty. */
void shard_init(struct shard *shard);

/* [any thread] The entry with that key, or NULL. */
struct shard_entry *shard_find(const struct shard *shard, const struct shared_key *key);

/* [any thread] Whether another entry can be inserted, one that expires if `expires`; takes rungs
 * out of the luggage, or says there which are lacking. */
bool shard_reserve(struct shard *shard, struct shard_luggage *luggage, bool expires);

/* [any thread] Puts in the entry of the luggage, whose key is in nobody yet. */
struct shard_entry *shard_insert(struct shard *shard, struct shard_luggage *luggage);

/* [any thread] Takes an entry out, into the luggage; nobody waits for it. */
void shard_remove(struct shard *shard, struct shard_entry *entry, struct shard_luggage *luggage);

/* [any thread] Lets an entry expire at that time; 0: never. Room has been reserved. */
void shard_set_due(struct shard *shard, struct shard_entry *entry, uint64_t due_ns);

/* [any thread] An entry that is due now, or NULL. Up to *steps entries that come first in the heap
 * are due later by now, and are put where they belong: counted down, at 0 there may be others. */
struct shard_entry *shard_find_due(struct shard *shard, uint64_t now_ns, int *steps);

/* [any thread] Frees what is in the luggage. Outside of the gate. */
void shard_unpack(struct shard_luggage *luggage);

/* [any thread] Frees all entries; nobody uses the shard any more. */
void shard_finish(struct shard *shard);

#endif
