/* inbox.h - the way into a thread: messages posted from any thread, taken out by the owner.
 *
 * Posting wakes the owner's loop through an eventfd under uv_poll. Messages are delivered in the
 * order of posting, in the owner's turn, outside the lock and outside any libuv callback. Who posts
 * under a lock adds the message there and wakes the owner once the lock is released: the owner runs
 * at once where it has the higher priority, and would meet the lock. */
#ifndef CORE_INBOX_H
#define CORE_INBOX_H

#include "base/base.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

/* Embedded in what is sent; `deliver` runs on the owner's thread and then owns the memory. */
struct message {
  struct message *_next;
  void (*deliver)(struct message *message, void *owner);
};

struct inbox {
  uv_mutex_t _lock; /* guards _first, _last; held for a few instructions, with no other lock */
  struct message *_first, *_last;
  _Atomic(bool) _filled;      /* whether the list may be other than empty */
  _Atomic(bool) _woken;       /* the eventfd is written to and has not been read */
  _Atomic(unsigned) _posters; /* who have added a message and not woken the owner yet */
  _Atomic(int) *_count;       /* of messages on their way; NULL: nobody counts */
  int _fd;
  uv_poll_t *_poll;
  void *_owner;
};

/* [owner] An open inbox on `loop`; `owner` is handed to each message's deliver. */
uv_err inbox_init(struct inbox *inbox, uv_loop_t *loop, void *owner);

/* [owner] Counts messages there from now on, from before they are posted until they have been
 * delivered; before the first is posted. */
void inbox_count(struct inbox *inbox, _Atomic(int) *count);

/* [owner] Closes the inbox; nobody may post any more. Undelivered messages are delivered first, and
 * those who still are to wake the owner are waited for. */
void inbox_finish(struct inbox *inbox);

/* [any thread] Adds a message; the inbox owns it until it is delivered. */
void inbox_post(struct inbox *inbox, struct message *message);

/* [any thread] The two parts of it: adds a message; wakes the owner, once for each that was added.
 * The inbox is there until then. */
void inbox_add(struct inbox *inbox, struct message *message);
void inbox_wake(struct inbox *inbox);

/* [owner] Whether nothing has been posted since the last drain. */
bool inbox_is_empty(const struct inbox *inbox);

/* [owner] Delivers what has been posted so far; gives the number delivered. */
unsigned inbox_drain(struct inbox *inbox);

#endif
