/* stress.c - a seed, a random order of those that were woken, garbage collected at each resume.
 *
 * Called behind `if (STRESS)` only. A fiber may be overtaken for as long as others are woken, but
 * each of these has to land before it by chance: nobody starves. */
#include "core/stress.h"

#include "core/fiber.h"
#include "core/worker.h"

#include <stdio.h>
#include <stdlib.h>

#define SEED_NAME "PERILUNE_STRESS_SEED"

enum {
  SEED_BYTES = 24,
  PLACES_MAX = 16,             /* that a woken fiber may move forward */
  COLLECT_ALL_BYTES = 1 << 20, /* a state of up to so many is collected whole */
  COLLECT_STEP_KIB = 64 /* allocated, as the collector counts, for the part of a larger one */
};

void stress_choose_seed(void) {
  if (getenv(SEED_NAME)) return;
  uint32_t seed;
  if (uv_random(NULL, NULL, &seed, sizeof seed, 0, NULL) != 0) seed = (uint32_t)uv_hrtime();
  char text[SEED_BYTES];
  snprintf(text, sizeof text, "%u", (unsigned)seed);
  setenv(SEED_NAME, text, 1);
  fprintf(stderr, "perilune: stress build, " SEED_NAME "=%s\n", text);
}

void stress_seed(struct worker *worker, uint64_t seed) {
  worker->stress_random = (seed | (seed == 0)) * 0x9E3779B97F4A7C15;
}

void stress_init(struct worker *worker) {
  const char *seed = getenv(SEED_NAME);
  uint64_t number = seed ? strtoull(seed, NULL, 10) : 1;
  stress_seed(worker, number + (uint64_t)worker->index + 1);
}

/* xorshift64* */
static uint32_t next_random(struct worker *worker) {
  uint64_t x = worker->stress_random;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  worker->stress_random = x;
  return (uint32_t)((x * 0x2545F4914F6CDD1D) >> 32);
}

static bool was_woken(const struct list *link) {
  return container_of(link, const struct fiber, link)->waits_for != NULL;
}

void stress_shuffle(struct fiber *fiber) {
  struct worker *worker = fiber->worker;
  if (fiber == worker->running) return; /* it only lets others run */
  list_remove(&fiber->link);
  struct list *next = &worker->ready;
  uint32_t places = 0;
  while (places < PLACES_MAX && next->prev != &worker->ready && was_woken(next->prev)) {
    next = next->prev;
    places++;
  }
  for (places = next_random(worker) % (places + 1); places > 0; places--) next = next->next;
  list_push(next, &fiber->link);
}

void stress_collect(struct worker *worker) {
  lua_State *L = worker->L;
  if (!lua_gc(L, LUA_GCISRUNNING)) return;
  if (worker->memory.used_bytes <= COLLECT_ALL_BYTES)
    lua_gc(L, LUA_GCCOLLECT);
  else
    lua_gc(L, LUA_GCSTEP, COLLECT_STEP_KIB);
}
