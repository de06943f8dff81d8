/* server_tasks.h - the table of tasks at the end of the log: what has become of all of them.
 *
 * scheduled = done + failed + cancelled + dropped + unfinished; where those were that the end of
 * the server has cancelled, and how long it has waited for shielded ones. */
#ifndef SERVER_TASKS_H
#define SERVER_TASKS_H

#include <stdbool.h>
#include <stdint.h>

struct server_shared;
struct server_thread;

/* [owner] Logs it, for HTTP workers and loops, unless no task was ever scheduled. Where tasks were
 * cancelled is told when all `have_ended`. `waited_ns` is how long the end of the threads took. */
void server_tasks_log(const struct server_shared *shared, const struct server_thread *threads,
                      int count, bool have_ended, uint64_t waited_ns);

#endif
