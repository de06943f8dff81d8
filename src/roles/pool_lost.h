/* pool_lost.h - threads of a pool whose call is given up, and which are in a C function all the
 * same.
 *
 * Such a thread is lost: the pool may start another one for it, up to POOL_LOST_MAX of them. When
 * its function returns it is used again, or ends where the pool has threads enough. */
#ifndef ROLES_POOL_LOST_H
#define ROLES_POOL_LOST_H

#include "core/stuck.h"

#include <stdbool.h>
#include <stddef.h>

struct call;
struct call_host;
struct pools;
struct runner;
struct worker;

/* [any thread] What the watchdog has found of a thread: counts it as lost. worker_role.stuck of
 * pools. */
const char *pool_lost_note(struct worker *worker, const struct stuck_report *report);

/* [owner] The call of the thread has ended; gives whether it was lost. Under the lock. */
bool pool_lost_end(struct runner *runner);

/* [owner] Says in the log that a thread is back. */
void pool_lost_log_return(const struct runner *runner);

/* [any thread] Says in the log which threads still run a call, and where those that are stuck are.
 */
void pool_lost_log_running(struct pools *pools);

/* [any thread] call_host.expire and call_host.find of pools. */
bool pool_lost_expire(struct call_host *host, struct call *call);
bool pool_lost_find(struct call_host *host, struct call *call, char *text, size_t size);

#endif
