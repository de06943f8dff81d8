/* stress.c - a seed, a random order of those that were woken, garbage collected at each resume.
 *
 * Called behind `if (STRESS)`, or for a seed of `perilune test`. A fiber may be overtaken for as
 * long as others are woken, but each of these has to land before it by chance: nobody starves. */
#include "core/stress.h"

#include "base/hash.h"
#include "core/fiber.h"
#include "core/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void begin(struct worker *worker, uint64_t seed) {
  worker->stress_random = (seed | (seed == 0)) * 0x9E3779B97F4A7C15;
}

static uint64_t add_name(uint64_t hash, const char *name) {
  return name ? hash_add(hash, name, strlen(name) + 1) : hash;
}

/* Workers of one process have different orders, and each the same one in every run. */
static void shuffle_by(struct worker *worker, uint64_t seed) {
  uint64_t hash = add_name(hash_add(HASH_SEED, &seed, sizeof seed), worker->role->name);
  hash = add_name(add_name(hash, worker->title), worker->loop_name);
  begin(worker, hash);
  worker->shuffles = true;
}

void stress_set_seed(struct worker *worker, uint64_t seed) {
  atomic_store_explicit(&worker->process->shuffle_seed, seed, memory_order_relaxed);
  shuffle_by(worker, seed);
}

void stress_init(struct worker *worker) {
  uint64_t chosen = atomic_load_explicit(&worker->process->shuffle_seed, memory_order_relaxed);
  if (chosen) {
    shuffle_by(worker, chosen);
  } else {
    const char *seed = getenv(SEED_NAME);
    uint64_t number = seed ? strtoull(seed, NULL, 10) : 1;
    begin(worker, number + (uint64_t)worker->index + 1);
  }
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

/* Draws a number only where there is a choice: how often a fiber that waits for time is woken,
 * alone, has no part in the order. */
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
  if (places > 0) places = next_random(worker) % (places + 1);
  for (; places > 0; places--) next = next->next;
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
