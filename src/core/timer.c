/* timer.c - a binary heap of timers with one uv_timer behind it.
 *
 * The uv_timer only ends the loop's sleep; what is due is found in the heap. It is set again only
 * when the earliest due time has changed, so a timer that is restarted over and over behind an
 * earlier one costs no system call. */
#include "core/timer.h"

#include "base/stress.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_SLOTS = STRESSED(16, 1) };

/* Differences of the order numbers count: they may wrap around. */
static bool is_before(const struct timer *a, const struct timer *b) {
  return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : (int32_t)(a->_order - b->_order) < 0;
}

static void place(struct timers *timers, uint32_t at, struct timer *timer) {
  timers->_heap[at] = timer;
  timer->_slot = at + 1;
}

static void sift_up(struct timers *timers, uint32_t at, struct timer *timer) {
  while (at > 0) {
    uint32_t parent = (at - 1) / 2;
    if (!is_before(timer, timers->_heap[parent])) break;
    place(timers, at, timers->_heap[parent]);
    at = parent;
  }
  place(timers, at, timer);
}

static void sift_down(struct timers *timers, uint32_t at, struct timer *timer) {
  for (;;) {
    uint32_t child = at * 2 + 1;
    if (child >= timers->_count) break;
    if (child + 1 < timers->_count && is_before(timers->_heap[child + 1], timers->_heap[child]))
      child++;
    if (is_before(timer, timers->_heap[child])) break;
    place(timers, at, timers->_heap[child]);
    at = child;
  }
  place(timers, at, timer);
}

/* Puts `timer` where the entry at `at` was. */
static void settle(struct timers *timers, uint32_t at, struct timer *timer) {
  if (at > 0 && is_before(timer, timers->_heap[(at - 1) / 2]))
    sift_up(timers, at, timer);
  else
    sift_down(timers, at, timer);
}

/* A uv_timer that is due already fires before the loop waits for I/O: it must not wait then. */
static void wake_loop(uv_timer_t *uv) {
  uv_stop(uv->loop);
}

static void free_handle(uv_handle_t *handle) {
  free(handle);
}

uv_err timers_init(struct timers *timers, uv_loop_t *loop) {
  *timers = (struct timers){._loop = loop};
  timers->_uv = memory_alloc(sizeof *timers->_uv);
  return uv_timer_init(loop, timers->_uv);
}

void timers_init_manual(struct timers *timers, uint64_t now_ns) {
  *timers = (struct timers){._manual = true, ._manual_ns = now_ns};
}

void timers_init_shared(struct timers *timers, struct shared_time *time) {
  *timers = (struct timers){._manual = true, ._shared = time};
}

void timers_finish(struct timers *timers) {
  for (uint32_t i = 0; i < timers->_count; i++) timers->_heap[i]->_slot = 0;
  free(timers->_heap);
  if (timers->_uv) uv_close((uv_handle_t *)timers->_uv, free_handle);
  *timers = (struct timers){0};
}

uint64_t timers_now(const struct timers *timers) {
  if (LIKELY(!timers->_manual)) return uv_hrtime();
  struct shared_time *shared = timers->_shared;
  return shared ? atomic_load_explicit(&shared->now_ns, memory_order_acquire) : timers->_manual_ns;
}

static uint32_t next_order(struct timers *timers) {
  if (LIKELY(!timers->_shared)) return timers->_order++;
  return atomic_fetch_add_explicit(&timers->_shared->order, 1, memory_order_relaxed);
}

/* A number behind those of all timers that are started. */
static uint32_t find_order(const struct timers *timers) {
  if (LIKELY(!timers->_shared)) return timers->_order;
  return atomic_load_explicit(&timers->_shared->order, memory_order_relaxed);
}

void timer_start(struct timers *timers, struct timer *timer, uint64_t due_ns, timer_fn fire) {
  timer->fire = fire;
  timer->due_ns = due_ns < timers->_firing_ns ? timers->_firing_ns : due_ns;
  timer->_order = next_order(timers);
  if (timer->_slot != 0) {
    settle(timers, timer->_slot - 1, timer);
    return;
  }
  if (timers->_count == timers->_cap) {
    timers->_cap = timers->_cap ? timers->_cap * 2 : FIRST_SLOTS;
    timers->_heap = memory_resize(timers->_heap, timers->_cap * sizeof(struct timer *));
  }
  sift_up(timers, timers->_count++, timer);
}

void timer_stop(struct timers *timers, struct timer *timer) {
  if (timer->_slot == 0) return;
  uint32_t at = timer->_slot - 1;
  assert(at < timers->_count && timers->_heap[at] == timer);
  timer->_slot = 0;
  struct timer *last = timers->_heap[--timers->_count];
  if (last != timer) settle(timers, at, last);
}

void timers_run(struct timers *timers) {
  if (timers->_count == 0) return;
  uint64_t now = timers_now(timers);
  uint32_t first_late = find_order(timers);
  timers->_firing_ns = now;
  while (timers->_count > 0) {
    struct timer *timer = timers->_heap[0];
    /* What is started while firing is due at `now` at the earliest: behind all that came before. */
    if (timer->due_ns > now || (int32_t)(timer->_order - first_late) >= 0) break;
    timer_stop(timers, timer);
    timer->fire(timer);
  }
  timers->_firing_ns = 0;
}

const struct timer *timers_first(const struct timers *timers) {
  return timers->_count ? timers->_heap[0] : NULL;
}

void timers_arm(struct timers *timers) {
  if (timers->_manual) return;
  uint64_t due = timers->_count ? timers->_heap[0]->due_ns : 0;
  if (timers->_count && due == 0) due = 1; /* 0 says that there is none */
  if (due == timers->_armed_ns) {
    if (due == 0 || uv_is_active((uv_handle_t *)timers->_uv)) return;
  }
  timers->_armed_ns = due;
  if (due == 0) {
    uv_timer_stop(timers->_uv);
    return;
  }
  uv_update_time(timers->_loop);
  uint64_t now = uv_hrtime();
  uint64_t wait_ms = due <= now ? 0 : (due - now + NS_PER_MS - 1) / NS_PER_MS;
  uv_timer_start(timers->_uv, wake_loop, wait_ms, 0);
}

uint64_t timers_advance(struct timers *timers, uint64_t by_ns) {
  assert(timers->_manual && !timers->_shared);
  uint64_t target = timers->_manual_ns + by_ns;
  uint64_t stop = target;
  if (timers->_count && timers->_heap[0]->due_ns < stop) stop = timers->_heap[0]->due_ns;
  if (stop > timers->_manual_ns) timers->_manual_ns = stop;
  return target - timers->_manual_ns;
}
