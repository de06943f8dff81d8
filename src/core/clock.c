/* clock.c - who is at work, and the step to the next timer.
 *
 * One number counts workers at work and messages on their way to them. Whoever makes work is
 * counted meanwhile, so once the number is 0 it stays so, but for what comes from outside. Then
 * the worker that moves the clock looks for the face whose timer is due first, sets the time and
 * wakes that one alone: timers of several threads fire one after the other, in the same order each
 * time. */
#include "core/clock.h"

#include "core/worker.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdlib.h>

#define CLOCK_START_NS (1000 * NS_PER_SECOND)
#define NEVER_NS       UINT64_MAX

/* A clock as one worker has it. */
struct clock_face {
  struct list link;     /* clock.faces */
  struct list of_owner; /* worker.faces, or worker.still_faces */
  struct clock *clock;
  struct worker *worker;
  struct timers timers;
  struct message tick; /* what is due fires with it; on its way once at a time */
  bool rests;
  /* of the first timer, while it rests */
  _Atomic(uint64_t) due_ns;
  _Atomic(uint32_t) order;
};

struct clock {
  struct shared_time time;
  _Atomic(int) busy;
  uv_mutex_t lock;   /* guards faces; an inbox's lock may be taken inside it, nothing else */
  struct list faces; /* clock_face.link */
  struct clock_face *own;
  bool is_automatic;
  bool is_stopped;

  struct message nudge; /* nobody is busy any more */
  _Atomic(bool) is_nudged;

  bool is_advancing;
  uint64_t target_ns;
  struct ticket advancing;
  struct timers *of_advancing; /* that its fiber lives on */
};

static struct clock *clock_of(const struct timers *timers) {
  struct shared_time *time = timers_shared_time(timers);
  return time ? container_of(time, struct clock, time) : NULL;
}

static uint64_t now(const struct clock *clock) {
  return atomic_load_explicit(&clock->time.now_ns, memory_order_acquire);
}

/* ---- faces ---- */

static void deliver_tick(struct message *message, void *owner) {
  (void)message; /* the turn runs what is due */
  (void)owner;
}

static struct clock_face *add_face(struct clock *clock, struct worker *worker) {
  struct clock_face *face = memory_alloc_zero(sizeof *face);
  face->clock = clock;
  face->worker = worker;
  face->tick.deliver = deliver_tick;
  atomic_init(&face->due_ns, NEVER_NS);
  timers_init_shared(&face->timers, &clock->time);
  list_init(&face->link);
  list_init(&face->of_owner);
  list_push(&worker->faces, &face->of_owner);
  uv_mutex_lock(&clock->lock);
  list_push(&clock->faces, &face->link);
  uv_mutex_unlock(&clock->lock);
  return face;
}

/* Says when its first timer is due. */
static void publish(struct clock_face *face) {
  const struct timer *first = timers_first(&face->timers);
  atomic_store_explicit(&face->order, first ? first->_order : 0, memory_order_relaxed);
  atomic_store_explicit(&face->due_ns, first ? first->due_ns : NEVER_NS, memory_order_relaxed);
}

/* ---- who is at work ---- */

static void deliver_nudge(struct message *message, void *owner) {
  (void)owner; /* it looks at the end of its turn */
  atomic_store(&container_of(message, struct clock, nudge)->is_nudged, false);
}

static void end_work(struct clock *clock) {
  if (atomic_fetch_sub_explicit(&clock->busy, 1, memory_order_acq_rel) > 1) return;
  if (atomic_exchange(&clock->is_nudged, true)) return;
  inbox_post(&clock->own->worker->inbox, &clock->nudge);
}

void clock_expect(struct clock *clock) {
  if (clock) atomic_fetch_add_explicit(&clock->busy, 1, memory_order_acq_rel);
}

void clock_expect_not(struct clock *clock) {
  if (clock) end_work(clock);
}

void clock_join(struct worker *worker) {
  struct clock *clock = worker->clock;
  inbox_count(&worker->inbox, &clock->busy);
  worker->face = add_face(clock, worker);
  worker->app_timers = &worker->face->timers;
}

void clock_leave(struct worker *worker) {
  struct clock_face *face = worker->face;
  if (!face) return;
  uv_mutex_lock(&worker->clock->lock);
  list_remove(&face->link);
  uv_mutex_unlock(&worker->clock->lock);
  list_remove(&face->of_owner);
  timers_finish(&face->timers);
}

void clock_forget(struct worker *worker) {
  free(worker->face); /* its tick may have been in the inbox until now */
  worker->face = NULL;
  end_work(worker->clock);
}

void clock_rest(struct worker *worker) {
  struct clock_face *face = worker->face;
  if (worker->holds > 0 || face->rests) return;
  publish(face);
  face->rests = true;
  end_work(face->clock);
}

void clock_rouse(struct worker *worker) {
  struct clock_face *face = worker->face;
  if (!face->rests) return;
  face->rests = false;
  clock_expect(face->clock);
}

/* ---- timers ---- */

bool clock_is_due(const struct worker *worker) {
  const struct list *faces = &worker->faces;
  for (const struct list *link = faces->next; link != faces; link = link->next) {
    const struct clock_face *face = container_of(link, const struct clock_face, of_owner);
    const struct timer *first = timers_first(&face->timers);
    if (first && first->due_ns <= now(face->clock)) return true;
  }
  return false;
}

void clock_run(struct worker *worker) {
  struct list *faces = &worker->faces;
  for (struct list *link = faces->next; link != faces; link = link->next)
    timers_run(&container_of(link, struct clock_face, of_owner)->timers);
}

/* ---- the steps ---- */

static bool is_before(const struct clock_face *a, const struct clock_face *b) {
  uint64_t a_ns = atomic_load_explicit(&a->due_ns, memory_order_relaxed);
  uint64_t b_ns = atomic_load_explicit(&b->due_ns, memory_order_relaxed);
  if (a_ns != b_ns) return a_ns < b_ns;
  uint32_t a_order = atomic_load_explicit(&a->order, memory_order_relaxed);
  uint32_t b_order = atomic_load_explicit(&b->order, memory_order_relaxed);
  return (int32_t)(a_order - b_order) < 0;
}

/* The face whose timer is due first. Under the lock, while all rest. */
static struct clock_face *find_first(struct clock *clock) {
  struct clock_face *first = clock->own;
  publish(first);
  for (struct list *link = clock->faces.next; link != &clock->faces; link = link->next) {
    struct clock_face *face = container_of(link, struct clock_face, link);
    if (is_before(face, first)) first = face;
  }
  return first;
}

/* Sets the time to the timer that is due first, unless that is past `limit_ns`, and lets it fire;
 * gives whether there is one. Under the lock. */
static bool step(struct clock *clock, uint64_t limit_ns) {
  struct clock_face *first = find_first(clock);
  uint64_t due_ns = atomic_load_explicit(&first->due_ns, memory_order_relaxed);
  if (due_ns == NEVER_NS || due_ns > limit_ns) return false;
  if (due_ns > now(clock)) atomic_store_explicit(&clock->time.now_ns, due_ns, memory_order_release);
  if (first != clock->own) inbox_post(&first->worker->inbox, &first->tick);
  return true;
}

static bool is_at_rest(const struct clock *clock) {
  return atomic_load_explicit(&clock->busy, memory_order_acquire) == 0 &&
         inbox_is_empty(&clock->own->worker->inbox);
}

static void move(struct clock *clock) {
  if (!is_at_rest(clock) || !(clock->is_automatic || clock->is_advancing)) return;
  uv_mutex_lock(&clock->lock);
  bool has_moved = step(clock, clock->is_advancing ? clock->target_ns : NEVER_NS);
  uv_mutex_unlock(&clock->lock);
  if (has_moved || !clock->is_advancing) return;
  atomic_store_explicit(&clock->time.now_ns, clock->target_ns, memory_order_release);
  clock->is_advancing = false;
  fiber_wake(clock->advancing);
}

void clock_look(struct worker *worker) {
  struct list *faces = &worker->faces;
  for (struct list *link = faces->next; link != faces; link = link->next)
    move(container_of(link, struct clock_face, of_owner)->clock);
}

bool clock_goes_on(const struct timers *timers) {
  const struct clock *clock = clock_of(timers);
  if (!clock) return true;
  return !clock->is_stopped && (clock->is_automatic || clock->is_advancing);
}

bool clock_is_awaited(const struct worker *worker) {
  const struct list *faces = &worker->faces;
  for (const struct list *link = faces->next; link != faces; link = link->next) {
    const struct clock_face *face = container_of(link, const struct clock_face, of_owner);
    if (!clock_goes_on(&face->timers) && is_at_rest(face->clock)) return true;
  }
  return false;
}

uint64_t clock_next(struct clock *clock) {
  uv_mutex_lock(&clock->lock);
  const struct clock_face *first = find_first(clock);
  uint64_t due_ns = atomic_load_explicit(&first->due_ns, memory_order_relaxed);
  uv_mutex_unlock(&clock->lock);
  return due_ns > now(clock) ? due_ns - now(clock) : 0;
}

static int advanced(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct clock *clock = (struct clock *)context;
  bool has_rested = !clock->is_advancing;
  clock->is_advancing = false;
  fiber_running(L)->timers = clock->of_advancing;
  fiber_check_cancelled(L);
  lua_pushboolean(L, has_rested);
  return 1;
}

lua_nret clock_advance(lua_State *L, struct clock *clock, uint64_t by_ns, uint64_t limit_ns) {
  struct fiber *fiber = fiber_begin_wait(L, "clock:advance");
  if (clock->is_advancing) return luaL_error(L, "the clock is being advanced by another task");
  if (clock->is_stopped) return luaL_error(L, "the clock has stopped: its client is closed");
  clock->is_advancing = true;
  clock->target_ns = now(clock) + by_ns;
  clock->advancing = fiber_ticket(fiber);
  clock->of_advancing = fiber->timers;
  lua_KContext context = (lua_KContext)clock;
  if (limit_ns == 0) return fiber_park(L, fiber, "clock:advance", context, advanced);
  fiber->timers = &fiber->worker->timers;
  return fiber_park_until(L, fiber, "clock:advance", uv_hrtime() + limit_ns, context, advanced);
}

/* ---- life ---- */

struct clock *clock_create(struct worker *worker) {
  struct clock *clock = memory_alloc_zero(sizeof *clock);
  atomic_init(&clock->time.now_ns, CLOCK_START_NS);
  uv_mutex_init(&clock->lock);
  list_init(&clock->faces);
  clock->is_automatic = true;
  clock->nudge.deliver = deliver_nudge;
  clock->own = add_face(clock, worker);
  return clock;
}

void clock_set_automatic(struct clock *clock, bool is_automatic) {
  clock->is_automatic = is_automatic;
}

struct timers *clock_timers(struct clock *clock) {
  return &clock->own->timers;
}

void clock_stop(struct clock *clock) {
  struct worker *worker = clock->own->worker;
  assert(clock->faces.next == &clock->own->link && clock->faces.prev == &clock->own->link);
  clock->is_stopped = true;
  list_remove(&clock->own->of_owner);
  list_push(&worker->still_faces, &clock->own->of_owner);
  for (struct list *link = worker->fibers.next; link != &worker->fibers; link = link->next) {
    struct fiber *fiber = container_of(link, struct fiber, live);
    bool is_on_it = fiber->timers == &clock->own->timers;
    if (is_on_it && !timer_is_started(&fiber->timer)) fiber->timers = &worker->timers;
  }
}

static void free_clocks(struct list *faces) {
  struct list *link;
  while ((link = list_pop(faces))) {
    struct clock_face *face = container_of(link, struct clock_face, of_owner);
    timers_finish(&face->timers);
    uv_mutex_destroy(&face->clock->lock);
    free(face->clock);
    free(face);
  }
}

void clock_free_all(struct worker *worker) {
  free_clocks(&worker->faces);
  free_clocks(&worker->still_faces);
}
