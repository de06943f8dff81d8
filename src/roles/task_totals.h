/* task_totals.h - what has become of the tasks of several workers: the table at the end of an app.
 *
 * scheduled = done + failed + cancelled + dropped + unfinished; where those were that the end has
 * cancelled, and how many shielded ones it has waited for. */
#ifndef ROLES_TASK_TOTALS_H
#define ROLES_TASK_TOTALS_H

#include "base/buffer.h"

#include <stddef.h>
#include <stdint.h>

struct metrics;
struct task_end;

/* Zeroed: nothing was counted. */
struct task_totals {
  int64_t scheduled, done, failed, cancelled, dropped, shielded;
};

/* [any thread] Adds what was counted. */
void task_totals_add(struct task_totals *totals, const struct metrics *metrics);

/* [any thread] How many have not ended. */
int64_t task_totals_unfinished(const struct task_totals *totals);

/* [owner] Appends where tasks were cancelled at these ends of workers, which schedule nothing any
 * more: "2 x send_mail at app.lua:12, 1 x ...". */
void task_totals_list_places(const struct task_end *const *ends, size_t count, struct buffer *out);

#endif
