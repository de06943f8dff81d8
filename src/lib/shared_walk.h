/* shared_walk.h - a listing of the keys of a shared table.
 *
 * A shard is read some chains at a time, so that others get in between. Each key that is there all
 * the time is listed once. */
#ifndef LIB_SHARED_WALK_H
#define LIB_SHARED_WALK_H

#include "base/buffer.h"
#include "lib/shared_table.h"

/* Zeroed at its beginning. */
struct shared_walk {
  struct shard *shard; /* that is being read; NULL: none */
  uint32_t number;     /* of that shard, or the next */
  uint32_t chain;      /* that is read next */
  struct buffer keys;
};

/* [any thread] Goes on with the listing of call.table, to its end or until a gate is closed. */
enum shared_result shared_walk_on(struct shared_call *call, struct shared_walk *walk);

/* [any thread] Reads the key that stands at *at, and moves on; false at the end. The text lives as
 * long as the listing. */
bool shared_walk_read(const struct shared_walk *walk, size_t *at, struct shared_key *key);

/* [any thread] Ends a listing, wherever it is. */
void shared_walk_finish(struct shared_walk *walk);

#endif
