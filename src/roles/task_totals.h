/* task_totals.h - what has become of the tasks of several workers: the table at the end of an app.
 *
 * scheduled = done + failed + cancelled + dropped + unfinished; where those were that the end has
 * cancelled, and how many shielded ones it has waited for. */
#ifndef ROLES_TASK_TOTALS_H
#define ROLES_TASK_TOTALS_H

#include "base/buffer.h"

#include <stddef.h>
#include <stdint.h>

struct worker;

/* Zeroed: nothing was counted. */
struct task_totals {
  int64_t scheduled, done, failed, cancelled, dropped, shielded;
};

/* [any thread] Adds what the worker has counted, or takes it away. */
void task_totals_add(struct task_totals *totals, const struct worker *worker);
void task_totals_subtract(struct task_totals *totals, const struct worker *worker);

/* [any thread] How many have not ended. */
int64_t task_totals_unfinished(const struct task_totals *totals);

/* [owner] Appends where tasks of these workers, which schedule nothing any more, were cancelled:
 * "2 x send_mail at app.lua:12, 1 x ...". */
void task_totals_list_places(const struct worker *const *workers, size_t count, struct buffer *out);

#endif
