/* topic_branch.h - what is published on a topic, on its way into one state.
 *
 * A branch is there while the state has subscriptions. It holds as many copies as they need: the
 * first ones for those that end when they overflow, the last ones for those that drop the oldest.
 * Of what was between only the number is known. A state that is slow is sent one message, whatever
 * is published meanwhile. */
#ifndef LIB_TOPIC_BRANCH_H
#define LIB_TOPIC_BRANCH_H

#include "core/inbox.h"
#include "lib/topic_hub.h"

#include <stdbool.h>

struct directory;

/* Something published, in one state: all its subscriptions share it. */
struct topic_copy {
  struct list link; /* of a branch; of what was taken from one; or subscription_list.unused */
  struct blob *blob;
  unsigned references; /* of subscriptions and of who decodes it; the owner's */
  bool is_kept;        /* the state has its value, decoded */
};

/* What was taken from a branch, in order: first, then a gap of so many, then last. */
struct topic_backlog {
  struct list first, last; /* topic_copy.link */
  uint32_t first_count, last_count;
  uint64_t gap;
};

struct topic_branch {
  struct topic_ref *ref; /* its own */
  struct gate_note note;
  struct message message;
  struct directory *directory;
  uint64_t worker;
  _Atomic(unsigned) references; /* the owner's, the topic's, that of the message */
  _Atomic(bool) has_backlog;
  _Atomic(bool) is_posted; /* the message is on its way */

  /* guarded by the gate of the topic */
  struct list link; /* topic.branches */
  struct topic_backlog backlog;
  uint32_t first_max, last_max;

  /* the owner's */
  struct list subscriptions;           /* subscription.link */
  void (*wake)(struct topic_branch *); /* something has been published */
};

/* [owner] A branch of the topic for this worker; not on the topic yet. */
struct topic_branch *topic_branch_create(const struct topic_ref *ref, const struct worker *worker);

/* [owner] Inside the gate of the topic: takes what has come so far, and says how many copies are
 * needed from now on; a new branch is put on the topic. */
void topic_branch_take(struct topic_branch *branch, struct topic_backlog *taken, uint32_t first_max,
                       uint32_t last_max);

/* [owner] Takes it off the topic, as soon as the gate is open, and ends the owner's reference. */
void topic_branch_leave(struct topic_branch *branch);

/* [any thread] Inside the gate of the topic: adds something published. */
void topic_branch_add(struct topic_branch *branch, struct blob *blob);

/* [any thread] Frees a copy that nobody refers to. */
void topic_branch_free_copy(struct topic_copy *copy);

#endif
