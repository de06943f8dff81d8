/* shard.c - chains by linear hashing, and a heap of what expires.
 *
 * One more entry splits one chain, one less may join some: no operation ever moves more than a few
 * entries. Chain number `n` of those from 8 on takes the entries of n without its highest bit whose
 * hash has that bit. */
#include "lib/shard.h"

#include <stdlib.h>
#include <string.h>

enum {
  JOINS_MAX = 4,       /* chains that are joined when an entry goes */
  ENTRIES_PER_JOIN = 4 /* there are up to so many times as many chains as entries */
};

void shard_init(struct shard *shard) {
  list_init(&shard->used);
}

/* ---- chains ---- */

static uint32_t highest_bit(uint32_t number) {
  return 1u << (31 - (uint32_t)__builtin_clz(number));
}

static uint32_t chain_number(const struct shard *shard, uint64_t hash) {
  uint32_t bit = highest_bit(shard->chain_count);
  uint32_t number = (uint32_t)hash & (2 * bit - 1);
  return number < shard->chain_count ? number : number & (bit - 1);
}

static struct shard_entry **chain_at(const struct shard *shard, uint32_t number) {
  return (struct shard_entry **)(void *)ladder_at(&shard->chains, number);
}

/* The link in a chain that leads to the entry. */
static struct shard_entry **find_link(const struct shard *shard, const struct shard_entry *entry) {
  struct shard_entry **link = chain_at(shard, chain_number(shard, entry->hash));
  while (*link != entry) link = &(*link)->next;
  return link;
}

static bool has_key(const struct shard_entry *entry, const struct shared_key *key) {
  if (entry->hash != key->hash) return false;
  if (!key->text) return entry->has_integer_key && entry->integer == key->integer;
  return !entry->has_integer_key && entry->len == key->len &&
         memcmp(entry->text, key->text, key->len) == 0;
}

struct shard_entry *shard_find(const struct shard *shard, const struct shared_key *key) {
  if (shard->chain_count == 0) return NULL;
  struct shard_entry *entry = *chain_at(shard, chain_number(shard, key->hash));
  while (entry && !has_key(entry, key)) entry = entry->next;
  return entry;
}

/* There is room for one more chain. */
static void split_chain(struct shard *shard) {
  uint32_t number = shard->chain_count++;
  struct shard_entry **from = chain_at(shard, number - highest_bit(number));
  struct shard_entry **to = chain_at(shard, number);
  uint32_t mask = 2 * highest_bit(number) - 1;
  *to = NULL;
  while (*from) {
    struct shard_entry *entry = *from;
    if (((uint32_t)entry->hash & mask) != number) {
      from = &entry->next;
      continue;
    }
    *from = entry->next;
    entry->next = *to;
    *to = entry;
  }
}

static void join_chain(struct shard *shard) {
  uint32_t number = --shard->chain_count;
  struct shard_entry **to = chain_at(shard, number - highest_bit(number));
  while (*to) to = &(*to)->next;
  *to = *chain_at(shard, number);
}

static void drop_rung(struct ladder *ladder, struct shard_luggage *luggage) {
  void ***dropped = luggage->dropped[0] ? &luggage->dropped[1] : &luggage->dropped[0];
  if (!*dropped) *dropped = ladder_drop(ladder);
}

static void join_chains(struct shard *shard, struct shard_luggage *luggage) {
  for (int i = 0; i < JOINS_MAX && shard->chain_count > LADDER_FIRST &&
                  shard->chain_count / ENTRIES_PER_JOIN > shard->entry_count;
       i++)
    join_chain(shard);
  bool is_sparse = shard->entry_count < shard->chain_count / 2; /* no chain is split soon */
  uint32_t cap = ladder_cap(&shard->chains);
  if (is_sparse && cap > LADDER_FIRST && shard->chain_count <= cap / 2)
    drop_rung(&shard->chains, luggage);
}

/* ---- the heap ---- */

static struct shard_entry *due_entry(const struct shard *shard, uint32_t at) {
  return *ladder_at(&shard->due, at);
}

static void place(struct shard *shard, uint32_t at, struct shard_entry *entry) {
  *ladder_at(&shard->due, at) = entry;
  entry->due_at = at + 1;
}

static void sift_up(struct shard *shard, uint32_t at, struct shard_entry *entry) {
  while (at > 0) {
    struct shard_entry *above = due_entry(shard, (at - 1) / 2);
    if (above->listed_ns <= entry->listed_ns) break;
    place(shard, at, above);
    at = (at - 1) / 2;
  }
  place(shard, at, entry);
}

static void sift_down(struct shard *shard, uint32_t at, struct shard_entry *entry) {
  for (;;) {
    uint32_t child = at * 2 + 1;
    if (child >= shard->due_count) break;
    if (child + 1 < shard->due_count &&
        due_entry(shard, child + 1)->listed_ns < due_entry(shard, child)->listed_ns)
      child++;
    if (due_entry(shard, child)->listed_ns >= entry->listed_ns) break;
    place(shard, at, due_entry(shard, child));
    at = child;
  }
  place(shard, at, entry);
}

/* Puts the entry where the one at `at` was. */
static void settle(struct shard *shard, uint32_t at, struct shard_entry *entry) {
  if (at > 0 && due_entry(shard, (at - 1) / 2)->listed_ns > entry->listed_ns)
    sift_up(shard, at, entry);
  else
    sift_down(shard, at, entry);
}

static void leave_heap(struct shard *shard, struct shard_entry *entry) {
  uint32_t at = entry->due_at - 1;
  struct shard_entry *last = due_entry(shard, --shard->due_count);
  entry->due_at = 0;
  if (last != entry) settle(shard, at, last);
}

/* What is due later than the heap has it stays there until it comes to the top: most ends are only
 * ever put off. */
void shard_set_due(struct shard *shard, struct shard_entry *entry, uint64_t due_ns) {
  bool is_listed = entry->due_at > 0;
  entry->due_ns = due_ns;
  if (due_ns == 0 && is_listed) leave_heap(shard, entry);
  if (due_ns == 0 || (is_listed && due_ns >= entry->listed_ns)) return;
  entry->listed_ns = due_ns;
  if (is_listed)
    settle(shard, entry->due_at - 1, entry);
  else
    sift_up(shard, shard->due_count++, entry);
}

struct shard_entry *shard_find_due(struct shard *shard, uint64_t now_ns, int *steps) {
  while (shard->due_count > 0) {
    struct shard_entry *first = due_entry(shard, 0);
    if (first->listed_ns > now_ns) return NULL;
    if (first->due_ns <= now_ns) return first;
    if (*steps == 0) return NULL;
    --*steps;
    first->listed_ns = first->due_ns;
    sift_down(shard, 0, first);
  }
  return NULL;
}

/* ---- entries ---- */

/* Whether the ladder has room for `count` pointers; takes the rung at *rung for it. */
static bool make_room(struct ladder *ladder, uint32_t count, void ***rung, const uint32_t *len) {
  if (count <= ladder_cap(ladder)) return true;
  if (!*rung || *len != ladder_next_len(ladder)) return false;
  ladder_add(ladder, *rung);
  *rung = NULL;
  return true;
}

bool shard_reserve(struct shard *shard, struct shard_luggage *luggage, bool expires) {
  uint32_t chains = shard->entry_count + 1, due = shard->due_count + (expires ? 1 : 0);
  if (chains < shard->chain_count) chains = shard->chain_count;
  if (chains > shard->chain_count + 1 && shard->chain_count > 0) chains = shard->chain_count + 1;
  luggage->lacks_chains =
      !make_room(&shard->chains, chains, &luggage->chains, &luggage->chains_len);
  if (luggage->lacks_chains) luggage->chains_len = ladder_next_len(&shard->chains);
  luggage->lacks_due = !make_room(&shard->due, due, &luggage->due, &luggage->due_len);
  if (luggage->lacks_due) luggage->due_len = ladder_next_len(&shard->due);
  return !luggage->lacks_chains && !luggage->lacks_due;
}

struct shard_entry *shard_insert(struct shard *shard, struct shard_luggage *luggage) {
  struct shard_entry *entry = luggage->entry;
  luggage->entry = NULL;
  shard->entry_count++;
  if (shard->chain_count == 0)
    shard->chain_count = LADDER_FIRST;
  else if (shard->entry_count > shard->chain_count && shard->walkers == 0)
    split_chain(shard);
  struct shard_entry **chain = chain_at(shard, chain_number(shard, entry->hash));
  entry->next = *chain;
  *chain = entry;
  return entry;
}

void shard_remove(struct shard *shard, struct shard_entry *entry, struct shard_luggage *luggage) {
  struct shard_entry **link = find_link(shard, entry);
  *link = entry->next;
  shard_set_due(shard, entry, 0);
  list_remove(&entry->used);
  entry->next = luggage->taken_out;
  luggage->taken_out = entry;
  shard->entry_count--;
  if (shard->walkers == 0) join_chains(shard, luggage);
  uint32_t due_cap = ladder_cap(&shard->due);
  if (due_cap > LADDER_FIRST && shard->due_count < due_cap / 8) drop_rung(&shard->due, luggage);
}

static void free_entries(struct shard_entry *entry) {
  while (entry) {
    struct shard_entry *next = entry->next;
    shared_value_release(&entry->value);
    free(entry);
    entry = next;
  }
}

void shard_unpack(struct shard_luggage *luggage) {
  free_entries(luggage->taken_out);
  free(luggage->entry);
  free(luggage->chains);
  free(luggage->due);
  free(luggage->dropped[0]);
  free(luggage->dropped[1]);
  *luggage = (struct shard_luggage){0};
}

void shard_finish(struct shard *shard) {
  for (uint32_t i = 0; i < shard->chain_count; i++) free_entries(*chain_at(shard, i));
  void **rung;
  while ((rung = ladder_drop(&shard->chains))) free(rung);
  while ((rung = ladder_drop(&shard->due))) free(rung);
}
