/* background.c - the loops of an app, and the calls that are posted to them.
 *
 * A call waits in the queue of its loop until the loop takes it, which it does as soon as it is
 * ready; from then on the loop (background_loop.c) owns it. */
#include "roles/background.h"

#include "base/limits.h"
#include "core/place.h"
#include "roles/background_loop.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct background *background_of(struct call_host *host) {
  return container_of(host, struct background, host);
}

static struct background_loop *loop_at(struct list *link) {
  return container_of(link, struct background_loop, link);
}

static struct background_loop *find_loop(struct background *background, const char *name) {
  struct list *loops = &background->loops;
  for (struct list *link = loops->next; link != loops; link = link->next)
    if (strcmp(loop_at(link)->name, name) == 0) return loop_at(link);
  return NULL;
}

/* ---- the host ---- */

static uv_err take_call(struct background_loop *loop, struct call *call) {
  int calls_max = call->calls_max > 0 ? call->calls_max : BACKGROUND_CALLS_MAX;
  if (loop->background->stopping || loop->background->refuses) return UV_ECANCELED;
  if (loop->stops || loop->gone) return UV_ESHUTDOWN;
  if (!loop->has_thread) return UV_ENOTCONN;
  if (loop->calls >= calls_max) {
    loop->refused++;
    return UV_ENOBUFS;
  }
  loop->calls++;
  call->id = ++loop->background->call_count;
  call->queue = loop;
  call->pool = loop->name;
  call->state = CALL_QUEUED;
  list_push(&loop->queue, &call->link);
  background_loop_wake(loop, false);
  return 0;
}

static uv_err submit(struct call_host *host, struct call *call) {
  struct background *background = background_of(host);
  uv_mutex_lock(&background->lock);
  struct background_loop *loop = find_loop(background, call->pool);
  uv_err error = loop ? take_call(loop, call) : UV_ENOENT;
  uv_mutex_unlock(&background->lock);
  return error;
}

static void abandon(struct call_host *host, struct call *call) {
  struct background *background = background_of(host);
  uv_mutex_lock(&background->lock);
  struct background_loop *loop = call->queue;
  call->abandoned = true;
  if (call->state == CALL_QUEUED) {
    list_remove(&call->link);
    loop->calls--;
    call_free(call);
  } else if (call->state == CALL_RUNNING) {
    list_remove(&call->link);
    list_push(&loop->unwanted, &call->link);
    background_loop_wake(loop, true);
  }
  uv_mutex_unlock(&background->lock);
}

static void retain(struct call_host *host) {
  atomic_fetch_add_explicit(&background_of(host)->references, 1, memory_order_relaxed);
}

static void release(struct call_host *host) {
  struct background *background = background_of(host);
  unsigned before = atomic_fetch_sub_explicit(&background->references, 1, memory_order_acq_rel);
  if (before > 1) return;
  struct list *link;
  while ((link = list_pop(&background->loops))) {
    struct background_loop *loop = loop_at(link);
    free(loop->name);
    free(loop->problem);
    buffer_finish(&loop->worker.tasks.end.cancelled_at);
    free(loop);
  }
  uv_mutex_destroy(&background->lock);
  free(background);
}

static void lock(struct call_host *host) {
  uv_mutex_lock(&background_of(host)->lock);
}

static void unlock(struct call_host *host) {
  uv_mutex_unlock(&background_of(host)->lock);
}

static void cancel_calls(struct background_loop *loop) {
  background_loop_refuse_queued(loop);
  loop->cancels = true;
  background_loop_wake(loop, true);
}

static void stop_loop(struct background_loop *loop) {
  if (loop->stops || loop->gone) return;
  loop->stops = true;
  background_loop_refuse_queued(loop);
  background_loop_wake(loop, true);
}

static bool order(struct call_host *host, const char *name, enum call_order what) {
  struct background *background = background_of(host);
  uv_mutex_lock(&background->lock);
  struct background_loop *loop = find_loop(background, name);
  if (loop && what == CALL_ORDER_CANCEL_ALL) cancel_calls(loop);
  if (loop && what == CALL_ORDER_STOP) stop_loop(loop);
  uv_mutex_unlock(&background->lock);
  return loop != NULL;
}

/* ---- life ---- */

struct background *background_create(struct process *process, struct snapshot *snapshot,
                                     struct call_host *pools) {
  struct background *background = memory_alloc_zero(sizeof *background);
  background->host = (struct call_host){.noun = "loop",
                                        .function = "a background function",
                                        .submit = submit,
                                        .abandon = abandon,
                                        .retain = retain,
                                        .release = release,
                                        .lock = lock,
                                        .unlock = unlock,
                                        .order = order};
  atomic_init(&background->references, 1);
  background->process = process;
  background->snapshot = snapshot;
  background->pools = pools;
  pools->loops = &background->host;
  retain(pools->loops);
  uv_mutex_init(&background->lock);
  list_init(&background->loops);
  return background;
}

void background_set_clock(struct background *background, struct clock *clock) {
  background->clock = clock;
}

static void add_loop(struct background *background, const char *name) {
  if (find_loop(background, name)) return;
  struct background_loop *loop = memory_alloc_zero(sizeof *loop);
  loop->background = background;
  loop->name = memory_copy(name, strlen(name));
  list_init(&loop->queue);
  list_init(&loop->running);
  list_init(&loop->unwanted);
  list_push(&background->loops, &loop->link);
}

void background_read(lua_State *L, struct background *background) {
  int top = lua_gettop(L);
  uv_mutex_lock(&background->lock);
  place_push_loops(L);
  for (lua_pushnil(L); lua_next(L, top + 1); lua_pop(L, 1))
    add_loop(background, lua_tostring(L, -2));
  uv_mutex_unlock(&background->lock);
  lua_settop(L, top);
}

/* Under the lock. */
static void await(struct background *background, struct inbox *inbox, struct message *message) {
  background->report = (struct background_report){inbox, message, .is_awaited = true};
}

void background_start(struct background *background, struct inbox *inbox, struct message *message) {
  uv_mutex_lock(&background->lock);
  await(background, inbox, message);
  struct list *loops = &background->loops;
  for (struct list *link = loops->next; link != loops && !background->stopping; link = link->next)
    background_loop_start(loop_at(link));
  background_loop_report(background);
  uv_mutex_unlock(&background->lock);
}

void background_settle(struct background *background, struct inbox *inbox,
                       struct message *message) {
  uv_mutex_lock(&background->lock);
  await(background, inbox, message);
  background->refuses = true;
  struct list *loops = &background->loops;
  for (struct list *link = loops->next; link != loops; link = link->next) {
    struct background_loop *loop = loop_at(link);
    background_loop_refuse_queued(loop);
    loop->settles = loop->has_thread && !loop->gone;
    background_loop_wake(loop, true);
  }
  background_loop_report(background);
  uv_mutex_unlock(&background->lock);
}

void background_interrupt(struct background *background) {
  uv_mutex_lock(&background->lock);
  struct list *loops = &background->loops;
  for (struct list *link = loops->next; link != loops; link = link->next) {
    struct background_loop *loop = loop_at(link);
    if (!loop->settles && !loop->stops) continue;
    loop->overdue = true;
    background_loop_wake(loop, true);
  }
  uv_mutex_unlock(&background->lock);
}

size_t background_workers(struct background *background, const struct worker **out, size_t max) {
  size_t count = 0;
  uv_mutex_lock(&background->lock);
  struct list *loops = &background->loops;
  for (struct list *link = loops->next; link != loops; link = link->next, count++)
    if (count < max) out[count] = &loop_at(link)->worker;
  uv_mutex_unlock(&background->lock);
  return count;
}

void background_resume(struct background *background) {
  uv_mutex_lock(&background->lock);
  background->refuses = false;
  uv_mutex_unlock(&background->lock);
}

void background_stop(struct background *background, struct inbox *inbox, struct message *message) {
  uv_mutex_lock(&background->lock);
  await(background, inbox, message);
  background->stopping = true;
  struct list *loops = &background->loops;
  for (struct list *link = loops->next; link != loops; link = link->next) stop_loop(loop_at(link));
  background_loop_report(background);
  uv_mutex_unlock(&background->lock);
}

bool background_is_busy(struct background *background) {
  uv_mutex_lock(&background->lock);
  bool is_busy = background->report.is_awaited;
  uv_mutex_unlock(&background->lock);
  return is_busy;
}

bool background_problem(struct background *background, char *text, size_t size) {
  const char *problem = NULL;
  uv_mutex_lock(&background->lock);
  struct list *loops = &background->loops;
  for (struct list *link = loops->next; link != loops && !problem; link = link->next)
    problem = loop_at(link)->problem;
  if (problem) snprintf(text, size, "%s", problem);
  uv_mutex_unlock(&background->lock);
  return problem != NULL;
}

size_t background_count(struct background *background, struct background_counts *out, size_t max) {
  size_t count = 0;
  uv_mutex_lock(&background->lock);
  struct list *loops = &background->loops;
  for (struct list *link = loops->next; link != loops && count < max; link = link->next) {
    const struct background_loop *loop = loop_at(link);
    out[count++] = (struct background_counts){
        .name = loop->name,
        .calls = loop->calls,
        .refused = loop->refused,
        .lua_bytes = loop->gone ? 0 : metrics_get(&loop->worker.metrics, METRIC_LUA_BYTES)};
  }
  uv_mutex_unlock(&background->lock);
  return count;
}

void background_destroy(struct background *background) {
  if (!background) return;
  background_stop(background, NULL, NULL);
  struct list *loops = &background->loops; /* nobody adds to them any more */
  for (struct list *link = loops->next; link != loops; link = link->next)
    if (loop_at(link)->has_thread) uv_thread_join(&loop_at(link)->thread);
  release(&background->host);
}
