/* topic_branch.c - two short lists, and a message that says that there is something in them.
 *
 * The message is posted to the number of the worker, so that a branch may outlive it. */
#include "lib/topic_branch.h"

#include "core/directory.h"
#include "core/worker.h"

#include <stdlib.h>

static void init_backlog(struct topic_backlog *backlog) {
  *backlog = (struct topic_backlog){0};
  list_init(&backlog->first);
  list_init(&backlog->last);
}

void topic_branch_free_copy(struct topic_copy *copy) {
  blob_release(copy->blob);
  free(copy);
}

static void drop_all(struct list *copies) {
  struct list *link;
  while ((link = list_pop(copies)))
    topic_branch_free_copy(container_of(link, struct topic_copy, link));
}

static void release(struct topic_branch *branch) {
  if (atomic_fetch_sub_explicit(&branch->references, 1, memory_order_acq_rel) == 1) free(branch);
}

static void deliver(struct message *message, void *owner) {
  struct topic_branch *branch = container_of(message, struct topic_branch, message);
  (void)owner;
  atomic_exchange_explicit(&branch->is_posted, false, memory_order_acq_rel);
  branch->wake(branch);
  release(branch);
}

struct topic_branch *topic_branch_create(const struct topic_ref *ref, const struct worker *worker) {
  struct topic_branch *branch = memory_alloc_zero(sizeof *branch);
  branch->ref = topic_hub_copy(ref);
  branch->message.deliver = deliver;
  branch->directory = worker->process->directory;
  branch->worker = worker->number;
  atomic_init(&branch->references, 1);
  list_init(&branch->link);
  list_init(&branch->subscriptions);
  init_backlog(&branch->backlog);
  return branch;
}

static void move_all(struct list *from, struct list *to) {
  list_init(to);
  if (list_is_empty(from)) return;
  *to = *from;
  to->next->prev = to->prev->next = to;
  list_init(from);
}

void topic_branch_take(struct topic_branch *branch, struct topic_backlog *taken, uint32_t first_max,
                       uint32_t last_max) {
  struct topic_backlog *backlog = &branch->backlog;
  *taken = *backlog;
  move_all(&backlog->first, &taken->first);
  move_all(&backlog->last, &taken->last);
  init_backlog(backlog);
  atomic_store_explicit(&branch->has_backlog, false, memory_order_relaxed);
  branch->first_max = first_max;
  branch->last_max = last_max;
  if (!list_is_empty(&branch->link)) return;
  list_push(&branch->ref->topic->branches, &branch->link);
  atomic_fetch_add_explicit(&branch->references, 1, memory_order_relaxed);
}

/* Inside the gate of the topic. */
static void take_off(struct gate_note *note) {
  struct topic_branch *branch = container_of(note, struct topic_branch, note);
  bool was_on = !list_is_empty(&branch->link);
  list_remove(&branch->link);
  drop_all(&branch->backlog.first);
  drop_all(&branch->backlog.last);
  if (was_on) release(branch);
  release(branch);
}

void topic_branch_leave(struct topic_branch *branch) {
  struct topic_ref *ref = branch->ref;
  branch->note.run = take_off;
  if (gate_try_or_note(&ref->topic->gate, &branch->note)) {
    take_off(&branch->note);
    gate_leave(&ref->topic->gate);
  }
  topic_hub_release(ref);
}

/* Tells the state, unless it has been told and has not looked yet. */
static void post(struct topic_branch *branch) {
  if (atomic_exchange_explicit(&branch->is_posted, true, memory_order_acq_rel)) return;
  atomic_fetch_add_explicit(&branch->references, 1, memory_order_relaxed);
  if (!directory_post(branch->directory, branch->worker, &branch->message)) release(branch);
}

void topic_branch_add(struct topic_branch *branch, struct blob *blob) {
  struct topic_backlog *backlog = &branch->backlog;
  struct topic_copy *copy = memory_alloc_zero(sizeof *copy);
  copy->blob = blob_retain(blob);
  bool is_first =
      backlog->last_count == 0 && backlog->gap == 0 && backlog->first_count < branch->first_max;
  list_push(is_first ? &backlog->first : &backlog->last, &copy->link);
  if (is_first)
    backlog->first_count++;
  else
    backlog->last_count++;
  if (backlog->last_count > branch->last_max) {
    backlog->last_count--;
    backlog->gap++;
    topic_branch_free_copy(container_of(list_pop(&backlog->last), struct topic_copy, link));
  }
  atomic_store_explicit(&branch->has_backlog, true, memory_order_release);
  post(branch);
}
