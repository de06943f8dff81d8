/* directory.c - a list of workers under a lock.
 *
 * Messages are added under it, so a worker that has been taken off gets nothing more. */
#include "core/directory.h"

#include "core/worker.h"

#include <assert.h>

void directory_init(struct directory *directory) {
  *directory = (struct directory){0};
  uv_mutex_init(&directory->_lock);
  list_init(&directory->_workers);
}

void directory_finish(struct directory *directory) {
  assert(list_is_empty(&directory->_workers));
  uv_mutex_destroy(&directory->_lock);
}

void directory_add(struct directory *directory, struct worker *worker) {
  uv_mutex_lock(&directory->_lock);
  worker->number = ++directory->_count;
  list_push(&directory->_workers, &worker->listed);
  uv_mutex_unlock(&directory->_lock);
}

void directory_remove(struct directory *directory, struct worker *worker) {
  uv_mutex_lock(&directory->_lock);
  list_remove(&worker->listed);
  uv_mutex_unlock(&directory->_lock);
}

bool directory_post(struct directory *directory, uint64_t number, struct message *message) {
  struct inbox *inbox = NULL;
  uv_mutex_lock(&directory->_lock);
  struct list *workers = &directory->_workers;
  for (struct list *link = workers->next; link != workers && !inbox; link = link->next) {
    struct worker *worker = container_of(link, struct worker, listed);
    if (worker->number == number) inbox = &worker->inbox;
  }
  if (inbox) inbox_add(inbox, message);
  uv_mutex_unlock(&directory->_lock);
  if (inbox) inbox_wake(inbox);
  return inbox != NULL;
}
