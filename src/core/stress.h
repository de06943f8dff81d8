/* stress.h - the scheduler's part of the stress build: base/stress.h says what that is.
 *
 * Random numbers come from a seed, PERILUNE_STRESS_SEED in the environment, so that the order in
 * which the fibers of a worker run can be had again. New fibers keep their order, and none is
 * overtaken by one that was woken: tasks start in the order of scheduling, before what scheduled
 * them goes on after a wait. */
#ifndef CORE_STRESS_H
#define CORE_STRESS_H

#include "base/stress.h"

#include <stdint.h>

struct fiber;
struct worker;

/* [owner] Chooses a seed when the environment has none, says it on stderr and leaves it in the
 * environment for what this process starts. While no other thread runs. */
void stress_choose_seed(void);

/* [owner] Starts the worker's random numbers, where it needs some. */
void stress_init(struct worker *worker);

/* [owner] From now on those that this worker wakes run in an order that the seed gives, as do those
 * of workers that begin later: each has random numbers of its own, by its name. In every build. */
void stress_set_seed(struct worker *worker, uint64_t seed);

/* [owner] Moves a fiber that was woken just now to a random place among the last that are ready. */
void stress_shuffle(struct fiber *fiber);

/* [owner] Collects garbage: all of it while there is little, else a part. Raises nothing. */
void stress_collect(struct worker *worker);

#endif
