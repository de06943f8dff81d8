/* directory.h - the workers of a process by number, so that one can be written to by another.
 *
 * A number is never given twice: a message to a worker that has ended is refused, whatever thread
 * has its memory now. */
#ifndef CORE_DIRECTORY_H
#define CORE_DIRECTORY_H

#include "base/base.h"
#include "base/list.h"

#include <stdbool.h>
#include <uv.h>

struct message;
struct worker;

struct directory {
  uv_mutex_t _lock;     /* guards the rest; an inbox's lock may be taken inside it, nothing else */
  struct list _workers; /* worker.listed */
  uint64_t _count;      /* of all that have ever been listed */
};

/* [any thread] An empty directory; and its end, when no worker is listed any more. */
void directory_init(struct directory *directory);
void directory_finish(struct directory *directory);

/* [owner] Lists a worker whose inbox is open, gives it its number, and takes it off again. Accepts
 * a worker that is not listed. */
void directory_add(struct directory *directory, struct worker *worker);
void directory_remove(struct directory *directory, struct worker *worker);

/* [any thread] Posts to the inbox of the worker with that number; false when it has ended: the
 * message is still the caller's. */
bool directory_post(struct directory *directory, uint64_t number, struct message *message);

#endif
