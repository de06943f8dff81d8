/* inbox.c - a list under a lock, and an eventfd that wakes the loop which drains it.
 *
 * Nobody writes to the eventfd while it has not been read: a burst costs one system call. The list
 * is detached under the lock and delivered outside it. */
#include "core/inbox.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Empties the eventfd, so that the loop sleeps again; the messages wait for the turn. Whoever finds
 * _woken still set has added a message that the turn will see. */
static void clear_event(uv_poll_t *poll, int status, int events) {
  struct inbox *inbox = poll->data;
  uint64_t count;
  (void)status;
  (void)events;
  if (read(inbox->_fd, &count, sizeof count) < 0) assert(errno == EAGAIN || errno == EINTR);
  atomic_exchange_explicit(&inbox->_woken, false, memory_order_acq_rel);
}

static void free_handle(uv_handle_t *handle) {
  free(handle);
}

uv_err inbox_init(struct inbox *inbox, uv_loop_t *loop, void *owner) {
  *inbox = (struct inbox){._owner = owner};
  inbox->_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (inbox->_fd < 0) return -errno;
  uv_mutex_init(&inbox->_lock);
  inbox->_poll = memory_alloc(sizeof *inbox->_poll);
  uv_err error = uv_poll_init(loop, inbox->_poll, inbox->_fd);
  assert(error == 0);
  inbox->_poll->data = inbox;
  return uv_poll_start(inbox->_poll, UV_READABLE, clear_event);
}

void inbox_count(struct inbox *inbox, _Atomic(int) *count) {
  inbox->_count = count;
}

bool inbox_is_empty(const struct inbox *inbox) {
  return !atomic_load_explicit(&inbox->_filled, memory_order_acquire);
}

void inbox_finish(struct inbox *inbox) {
  if (!inbox->_poll) return;
  while (inbox_drain(inbox) > 0) continue;
  while (atomic_load_explicit(&inbox->_posters, memory_order_acquire) > 0) uv_sleep(1);
  uv_poll_stop(inbox->_poll);
  uv_close((uv_handle_t *)inbox->_poll, free_handle);
  inbox->_poll = NULL;
  close(inbox->_fd);
  uv_mutex_destroy(&inbox->_lock);
}

void inbox_add(struct inbox *inbox, struct message *message) {
  atomic_fetch_add_explicit(&inbox->_posters, 1, memory_order_relaxed);
  message->_next = NULL;
  if (inbox->_count) atomic_fetch_add_explicit(inbox->_count, 1, memory_order_acq_rel);
  uv_mutex_lock(&inbox->_lock);
  if (!inbox->_first)
    inbox->_first = message;
  else
    inbox->_last->_next = message;
  inbox->_last = message;
  atomic_store_explicit(&inbox->_filled, true, memory_order_release);
  uv_mutex_unlock(&inbox->_lock);
}

void inbox_wake(struct inbox *inbox) {
  uint64_t one = 1;
  bool is_woken = atomic_exchange_explicit(&inbox->_woken, true, memory_order_acq_rel);
  while (!is_woken && write(inbox->_fd, &one, sizeof one) < 0 && errno == EINTR) continue;
  atomic_fetch_sub_explicit(&inbox->_posters, 1, memory_order_release);
}

void inbox_post(struct inbox *inbox, struct message *message) {
  inbox_add(inbox, message);
  inbox_wake(inbox);
}

unsigned inbox_drain(struct inbox *inbox) {
  if (inbox_is_empty(inbox)) return 0;
  uv_mutex_lock(&inbox->_lock);
  struct message *message = inbox->_first;
  inbox->_first = inbox->_last = NULL;
  atomic_store_explicit(&inbox->_filled, false, memory_order_relaxed);
  uv_mutex_unlock(&inbox->_lock);
  unsigned count = 0;
  while (message) {
    struct message *next = message->_next;
    message->deliver(message, inbox->_owner);
    message = next;
    count++;
  }
  if (inbox->_count) atomic_fetch_sub_explicit(inbox->_count, (int)count, memory_order_acq_rel);
  return count;
}
