/* idle.h - whether a worker that serves apps to its own specs waits for nothing but time.
 *
 * Then the clocks of those apps may move (core/clock.h): requests to its own services do not hold
 * them back once they have come there. */
#ifndef ROLES_IDLE_H
#define ROLES_IDLE_H

#include <stdbool.h>

struct worker;

/* [owner] At the end of a turn: whether it has nothing to do and nothing is on its way to it. */
bool idle_is_reached(struct worker *worker);

#endif
