/* shared_table.h - a table of keys and values that all threads of an app use at once.
 *
 * Each key belongs to one shard, and each operation is done inside that shard's gate: by those that
 * may not wait it is left undone when somebody else is inside (SHARED_BUSY), to be tried again.
 * Time comes as an argument. What has expired is gone for whoever looks, and every operation on a
 * shard takes out some of it. */
#ifndef LIB_SHARED_TABLE_H
#define LIB_SHARED_TABLE_H

#include "core/fiber.h"
#include "core/inbox.h"
#include "lib/shard.h"

struct directory;
struct shared_table;

/* What all tables of an app have together. */
struct shared_budget {
  _Atomic(struct shared_table *) tables; /* the newest first */
  _Atomic(size_t) used_bytes;
  size_t bytes_max;
};

struct shared_options {
  size_t bytes_max; /* 0: as many as the budget has */
  bool evicts;      /* what was not used for longest goes when there is no room */
};

enum shared_result {
  SHARED_DONE,
  SHARED_BUSY,       /* call.gate is closed */
  SHARED_FULL,       /* there is no room */
  SHARED_REFUSED,    /* the value is not what the call is for: shared_put.when, or a version */
  SHARED_NOT_NUMBER, /* nor can be added to */
  SHARED_OVERFLOW    /* the sum is no integer */
};

/* Who does what, and when. */
struct shared_call {
  struct shared_table *table;
  struct shared_key key;
  uint64_t now_ns;
  bool waits;        /* at a gate, with its thread */
  struct gate *gate; /* out: which one was closed */
};

/* What is known of a value. */
struct shared_found {
  struct shared_value value; /* to be released */
  uint64_t version;          /* 0: there is none */
  uint64_t due_ns;           /* 0: it does not expire */
};

enum shared_when { SHARED_ALWAYS, SHARED_IF_ABSENT, SHARED_IF_VERSION };

struct shared_put {
  struct shared_value value; /* nil deletes; taken over when it is done */
  enum shared_when when;
  uint64_t version; /* for SHARED_IF_VERSION */
  uint64_t due_ns;  /* 0: never */
  bool keeps_due;   /* of a value that is there */
};

/* Somebody who waits for a change; its memory belongs to whoever refers to it last. */
struct shared_waiter {
  struct message message; /* to the fiber's worker */
  struct list link;       /* shard_entry.waiters; with `entry` guarded by the gate of the shard */
  struct shard_entry *entry;
  struct shared_table *table;
  struct shard *shard;
  struct gate_note note;
  _Atomic(bool) is_over; /* a change has come */
  _Atomic(unsigned) references;
  struct directory *directory;
  uint64_t worker;
  struct ticket ticket;
};

/* [any thread] A new table of the budget, which owns it. */
struct shared_table *shared_table_create(const char *name, const struct shared_options *options,
                                         struct shared_budget *budget);

/* [any thread] The table of that name, or NULL. */
struct shared_table *shared_table_find(struct shared_budget *budget, const char *name);

/* [any thread] Frees all tables of a budget, which nobody uses any more. */
void shared_table_destroy_all(struct shared_budget *budget);

/* [any thread] How many bytes are taken, in the table. */
size_t shared_table_used_bytes(const struct shared_table *table);

/* [any thread] The shard of that number, counted from 0; NULL behind the last. */
struct shard *shared_table_shard(struct shared_table *table, uint32_t number);

/* [any thread] What it was made with. */
const char *shared_table_name(const struct shared_table *table);
const struct shared_options *shared_table_options(const struct shared_table *table);

/* [any thread] The key of a text, or of an integer where it is NULL; the text is borrowed. */
struct shared_key shared_table_key(const struct shared_table *table, const char *text, size_t len,
                                   int64_t integer);

/* [any thread] Finds a value. */
enum shared_result shared_table_get(struct shared_call *call, struct shared_found *found);

/* [any thread] Sets or deletes a value. */
enum shared_result shared_table_put(struct shared_call *call, const struct shared_put *put);

/* [any thread] Adds to a number, or sets it where there is none, to expire at `due_ns` then; *by
 * becomes the sum. */
enum shared_result shared_table_add(struct shared_call *call, struct shared_value *by,
                                    uint64_t due_ns);

/* [owner] A waiter for the fiber that is about to park. */
struct shared_waiter *shared_table_make_waiter(struct fiber *fiber);

/* [any thread] Lets it be woken by the next change; SHARED_REFUSED: there has been one since that
 * version. */
enum shared_result shared_table_watch(struct shared_call *call, struct shared_waiter *waiter,
                                      uint64_t version);

/* [any thread] Nobody waits any more: gives whether a change has come. Ends the caller's reference.
 */
bool shared_table_unwatch(struct shared_waiter *waiter);

#endif
