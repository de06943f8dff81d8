/* subscription.c - rings that grow with what is in them, up to what was asked for.
 *
 * A subscription that overflows, and is to end then, is taken off its branch at once: it costs the
 * others nothing while its subscriber is slow. */
#include "lib/subscription.h"

#include "base/base.h"
#include "base/stress.h"

#include <stdlib.h>

enum { SLOTS_MIN = STRESSED(8, 1) };

void subscription_init(struct subscription *subscription, struct list *unused) {
  list_init(&subscription->link);
  list_init(&subscription->waiting);
  subscription->unused = unused;
}

void subscription_begin(struct subscription *subscription, struct topic_branch *branch) {
  subscription->branch = branch;
  list_push(&branch->subscriptions, &subscription->link);
}

struct topic_branch *subscription_end(struct subscription *subscription) {
  struct topic_branch *branch = subscription->branch;
  subscription->branch = NULL;
  list_remove(&subscription->link);
  return branch && list_is_empty(&branch->subscriptions) ? branch : NULL;
}

void subscription_release(struct topic_copy *copy, struct list *unused) {
  if (--copy->references > 0) return;
  if (copy->is_kept)
    list_push(unused, &copy->link);
  else
    topic_branch_free_copy(copy);
}

/* ---- the ring ---- */

static struct topic_copy **slot_at(const struct subscription *subscription, uint32_t i) {
  return &subscription->ring[(subscription->first + i) & (subscription->slots - 1)];
}

static void grow(struct subscription *subscription) {
  uint32_t slots = subscription->slots > 0 ? 2 * subscription->slots : SLOTS_MIN;
  struct topic_copy **ring = memory_alloc(slots * sizeof(struct topic_copy *));
  for (uint32_t i = 0; i < subscription->count; i++) ring[i] = *slot_at(subscription, i);
  free(subscription->ring);
  subscription->ring = ring;
  subscription->slots = slots;
  subscription->first = 0;
}

struct topic_copy *subscription_pop(struct subscription *subscription) {
  if (subscription->count == 0) return NULL;
  struct topic_copy *copy = *slot_at(subscription, 0);
  subscription->first = (subscription->first + 1) & (subscription->slots - 1);
  subscription->count--;
  return copy;
}

void subscription_unpop(struct subscription *subscription, struct topic_copy *copy) {
  if (subscription->count == subscription->slots) grow(subscription);
  subscription->first = (subscription->first - 1) & (subscription->slots - 1);
  subscription->count++;
  *slot_at(subscription, 0) = copy;
}

void subscription_clear(struct subscription *subscription) {
  struct topic_copy *copy;
  while ((copy = subscription_pop(subscription))) subscription_release(copy, subscription->unused);
  free(subscription->ring);
  subscription->ring = NULL;
  subscription->slots = subscription->first = 0;
}

/* ---- what comes ---- */

static void overflow(struct subscription *subscription) {
  subscription->has_overflowed = true;
  subscription->branch = NULL;
  list_remove(&subscription->link);
}

static void push(struct subscription *subscription, struct topic_copy *copy) {
  if (subscription->count >= subscription->buffer) {
    if (!subscription->drops_oldest) {
      overflow(subscription);
      return;
    }
    subscription_release(subscription_pop(subscription), subscription->unused);
    subscription->dropped++;
  }
  if (subscription->count == subscription->slots) grow(subscription);
  copy->references++;
  *slot_at(subscription, subscription->count++) = copy;
}

static void skip(struct subscription *subscription, uint64_t gap) {
  if (subscription->drops_oldest)
    subscription->dropped += gap;
  else
    overflow(subscription);
}

/* The subscriptions of a branch, one of which may be taken off meanwhile. */
#define EACH(branch, link, next)                                                                   \
  struct list *link = (branch)->subscriptions.next, *next = link->next;                            \
  link != &(branch)->subscriptions;                                                                \
  link = next, next = link->next

static void distribute_all(struct topic_branch *branch, struct list *copies) {
  struct list *first;
  while ((first = list_pop(copies))) {
    struct topic_copy *copy = container_of(first, struct topic_copy, link);
    for (EACH(branch, link, next)) push(container_of(link, struct subscription, link), copy);
    if (copy->references == 0) topic_branch_free_copy(copy);
  }
}

void subscription_distribute(struct topic_branch *branch, struct topic_backlog *backlog) {
  distribute_all(branch, &backlog->first);
  if (backlog->gap > 0)
    for (EACH(branch, link, next))
      skip(container_of(link, struct subscription, link), backlog->gap);
  distribute_all(branch, &backlog->last);
}

static void count_one(const struct subscription *subscription, uint32_t *first_max,
                      uint32_t *last_max) {
  uint32_t *max = subscription->drops_oldest ? last_max : first_max;
  if (*max < subscription->buffer) *max = subscription->buffer;
}

void subscription_count(const struct topic_branch *branch, const struct subscription *another,
                        uint32_t *first_max, uint32_t *last_max) {
  *first_max = *last_max = 0;
  const struct list *subscriptions = &branch->subscriptions;
  for (const struct list *link = subscriptions->next; link != subscriptions; link = link->next)
    count_one(container_of(link, const struct subscription, link), first_max, last_max);
  if (another) count_one(another, first_max, last_max);
}
