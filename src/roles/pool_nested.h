/* pool_nested.h - calls that are made in the code of calls: who waits for whom, and never in a
 * circle.
 *
 * A thread that waits for a call it has made is on its pool's account but does not run; a pool may
 * start one replacement meanwhile. Threads and pools never wait for each other in a circle: the
 * call that would close it is refused. */
#ifndef ROLES_POOL_NESTED_H
#define ROLES_POOL_NESTED_H

#include <stdbool.h>
#include <stdint.h>

struct call;
struct pool;
struct pools;
struct runner;

/* All under the lock of the pools. */

/* [any thread] The bit of a pool in call.chain. */
uint64_t pool_nested_bit(const struct pool *pool);

/* [any thread] The thread that runs the call with that id, or NULL. */
struct runner *pool_nested_find_runner(struct pools *pools, uint64_t id);

/* [any thread] Whether the pool may have a further thread. */
bool pool_nested_may_start(const struct pool *pool);

/* [any thread] Whether more threads of the pool run than it has by its size. */
bool pool_nested_has_surplus(const struct pool *pool);

/* [any thread] Whether a thread of the pool, but for `except`, waits for no call. */
bool pool_nested_has_free_thread(const struct pools *pools, const struct pool *pool,
                                 const struct runner *except);

/* [any thread] Whether the runner would wait for ever, for itself over others, if it waited for a
 * thread of `pool`. */
bool pool_nested_would_deadlock(const struct pools *pools, const struct runner *runner,
                                const struct pool *pool);

/* [any thread] The runner waits for a call that has been taken. */
void pool_nested_begin(struct runner *runner, struct call *call);

/* [any thread] Nobody waits for the call any more, if somebody did. A thread that is idle and one
 * too many now is ended. */
void pool_nested_end(struct call *call);

/* [any thread] The runner waits for nothing any more. */
void pool_nested_end_all(struct runner *runner);

#endif
