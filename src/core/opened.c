/* opened.c - the list, and whose line has opened something.
 *
 * A record is freed by who closes it; one that the collector has found lives in the list until the
 * next spec begins. */
#include "core/opened.h"

#include "base/base.h"
#include "base/buffer.h"
#include "base/list.h"
#include "core/fiber.h"
#include "core/instance.h"
#include "core/worker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct opened_list {
  uv_mutex_t lock; /* guards the rest, and what is in records; held with no other lock */
  const struct worker *worker; /* of the spec; NULL: nobody watches */
  struct list records;         /* opened.link */
};

struct opened {
  struct list link; /* opened_list.records, while its spec runs */
  struct opened_list *list;
  struct worker *worker;
  bool is_new; /* counts in worker.opened_new */
  struct opened_row row;
};

struct opened_list *opened_create(void) {
  struct opened_list *list = memory_alloc_zero(sizeof *list);
  list_init(&list->records);
  uv_err error = uv_mutex_init(&list->lock);
  assert(error == 0);
  (void)error;
  return list;
}

/* Under the lock. */
static void clear(struct opened_list *list) {
  struct list *link;
  while ((link = list_pop(&list->records))) {
    struct opened *opened = container_of(link, struct opened, link);
    if (opened->row.state != OPENED_STILL) free(opened);
  }
}

void opened_destroy(struct opened_list *list) {
  if (!list) return;
  clear(list);
  uv_mutex_destroy(&list->lock);
  free(list);
}

void opened_watch(struct opened_list *list, const struct worker *worker) {
  uv_mutex_lock(&list->lock);
  clear(list);
  list->worker = worker;
  uv_mutex_unlock(&list->lock);
}

void opened_unwatch(struct opened_list *list) {
  uv_mutex_lock(&list->lock);
  list->worker = NULL;
  uv_mutex_unlock(&list->lock);
}

void opened_list(struct opened_list *list, struct buffer *rows) {
  uv_mutex_lock(&list->lock);
  for (struct list *link = list->records.next; link != &list->records; link = link->next) {
    const struct opened *opened = container_of(link, struct opened, link);
    buffer_add(rows, &opened->row, sizeof opened->row);
  }
  uv_mutex_unlock(&list->lock);
}

/* ---- records ---- */

/* Whether code is the framework's own. */
static bool is_own(const struct worker *worker, const lua_Debug *debug) {
  const char *dir = worker->process->lua_dir;
  size_t len = dir ? strlen(dir) : 0;
  return len > 0 && strncmp(debug->source + 1, dir, len) == 0 && debug->source[1 + len] == '/';
}

/* The innermost line that is not the framework's. */
static void write_line(lua_State *L, char line[static OPENED_LINE_BYTES]) {
  lua_Debug debug;
  snprintf(line, OPENED_LINE_BYTES, "an unknown line");
  for (int level = 0; lua_getstack(L, level, &debug); level++) {
    lua_getinfo(L, "Sl", &debug);
    if (debug.currentline <= 0 || is_own(worker_of(L), &debug)) continue;
    const char *source = debug.source + (*debug.source == '@');
    size_t len = strlen(source), room = OPENED_LINE_BYTES - sizeof ":2147483647";
    snprintf(line, OPENED_LINE_BYTES, "%s:%d", source + (len > room ? len - room : 0),
             debug.currentline);
    return;
  }
}

struct opened *opened_add(lua_State *L, enum opened_kind kind) {
  struct worker *worker = worker_of(L);
  struct opened_list *list = worker->process->opened;
  const struct fiber *fiber = worker->running;
  if (LIKELY(!list) || !fiber || worker->instance->loading) return NULL;
  struct opened *opened = memory_alloc_zero(sizeof *opened);
  opened->list = list;
  opened->worker = worker;
  opened->row.kind = kind;
  write_line(L, opened->row.line);
  uv_mutex_lock(&list->lock);
  const struct worker *watching = list->worker;
  opened->row.is_of_app = fiber->instance || worker != watching;
  if (watching) list_push(&list->records, &opened->link);
  uv_mutex_unlock(&list->lock);
  if (!watching) {
    free(opened);
    return NULL;
  }
  opened->is_new = true;
  worker->opened_new++;
  return opened;
}

static struct opened *take(struct opened **opened) {
  struct opened *taken = *opened;
  *opened = NULL;
  if (taken && taken->is_new) taken->worker->opened_new--;
  if (taken) taken->is_new = false;
  return taken;
}

void opened_close(struct opened **opened) {
  struct opened *closed = take(opened);
  if (LIKELY(!closed)) return;
  uv_mutex_lock(&closed->list->lock);
  list_remove(&closed->link);
  uv_mutex_unlock(&closed->list->lock);
  free(closed);
}

void opened_collect(struct opened **opened) {
  struct opened *found = take(opened);
  if (LIKELY(!found)) return;
  uv_mutex_lock(&found->list->lock);
  found->row.state = found->worker->stopped ? OPENED_ENDED : OPENED_COLLECTED;
  bool is_old = list_is_empty(&found->link);
  uv_mutex_unlock(&found->list->lock);
  if (is_old) free(found);
}

/* ---- garbage ---- */

/* Twice: what is referred to by garbage with a finalizer of its own goes the second time. */
static int collect(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  return 0;
}

static void make_old(struct worker *worker) {
  struct opened_list *list = worker->process->opened;
  uv_mutex_lock(&list->lock);
  for (struct list *link = list->records.next; link != &list->records; link = link->next) {
    struct opened *opened = container_of(link, struct opened, link);
    if (opened->worker == worker) opened->is_new = false;
  }
  uv_mutex_unlock(&list->lock);
  worker->opened_new = 0;
}

void opened_settle(lua_State *L) {
  struct worker *worker = worker_of(L);
  if (LIKELY(worker->opened_new == 0)) return;
  lua_pushcfunction(L, collect);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
  make_old(worker);
}
