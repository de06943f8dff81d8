/* subscription.h - what one subscriber of a topic has not received yet; without Lua.
 *
 * A ring of copies that is bounded as the subscriber asked. All of it belongs to one state: copies
 * are shared by its subscriptions, each of which refers to them. */
#ifndef LIB_SUBSCRIPTION_H
#define LIB_SUBSCRIPTION_H

#include "lib/topic_branch.h"

struct subscription {
  struct list link;            /* topic_branch.subscriptions, while it takes what is published */
  struct list waiting;         /* fiber.link */
  struct list *unused;         /* topic_copy.link: kept ones that nobody refers to any more */
  struct topic_branch *branch; /* NULL: it has ended */
  struct topic_copy **ring;
  uint32_t slots; /* 0, or a power of two */
  uint32_t first, count;
  uint32_t buffer; /* the most that `count` gets to */
  bool drops_oldest;
  bool has_overflowed; /* and so has ended */
  uint64_t dropped;
};

/* [owner] Prepares a zeroed subscription; it has ended. */
void subscription_init(struct subscription *subscription, struct list *unused);

/* [owner] Lets it take what the branch gets from now on. */
void subscription_begin(struct subscription *subscription, struct topic_branch *branch);

/* [owner] Ends it; what is buffered stays. Twice is harmless. Gives the branch when that has no
 * subscription any more: it is to be left. */
struct topic_branch *subscription_end(struct subscription *subscription);

/* [owner] Drops what is buffered, and frees its memory. */
void subscription_clear(struct subscription *subscription);

/* [owner] How many copies the subscriptions of a branch need, with another one (may be NULL). */
void subscription_count(const struct topic_branch *branch, const struct subscription *another,
                        uint32_t *first_max, uint32_t *last_max);

/* [owner] Gives what was taken from a branch to its subscriptions; those that overflow leave it. */
void subscription_distribute(struct topic_branch *branch, struct topic_backlog *backlog);

/* [owner] Takes the oldest copy out, with its reference, or gives NULL; and puts it back. */
struct topic_copy *subscription_pop(struct subscription *subscription);
void subscription_unpop(struct subscription *subscription, struct topic_copy *copy);

/* [owner] Ends a reference to a copy: it is freed, or kept ones put among the unused. */
void subscription_release(struct topic_copy *copy, struct list *unused);

#endif
