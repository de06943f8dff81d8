/* task_totals.c - adds up what workers have counted of tasks.
 *
 * Counts are right at any time (core/metrics.h); the places belong to the threads until they end.
 */
#include "roles/task_totals.h"

#include "core/worker.h"

#include <stdlib.h>
#include <string.h>

void task_totals_add(struct task_totals *totals, const struct metrics *metrics) {
  const struct {
    int64_t *total;
    enum metric metric;
  } rows[] = {{&totals->scheduled, METRIC_TASKS_SCHEDULED},
              {&totals->done, METRIC_TASKS_ENDED_DONE},
              {&totals->failed, METRIC_TASKS_ENDED_FAILED},
              {&totals->cancelled, METRIC_TASKS_ENDED_CANCELLED},
              {&totals->dropped, METRIC_TASKS_ENDED_DROPPED},
              {&totals->shielded, METRIC_TASKS_WAITED_FOR}};
  for (size_t i = 0; i < array_len(rows); i++)
    *rows[i].total += (int64_t)metrics_get(metrics, rows[i].metric);
}

int64_t task_totals_unfinished(const struct task_totals *totals) {
  return totals->scheduled - totals->done - totals->failed - totals->cancelled - totals->dropped;
}

static int compare_lines(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The same place once, with how many. */
void task_totals_list_places(const struct task_end *const *ends, size_t count, struct buffer *out) {
  struct buffer text = {0}, lines = {0};
  for (size_t i = 0; i < count; i++) {
    const struct buffer *places = &ends[i]->cancelled_at;
    buffer_add(&text, places->data, places->len);
  }
  buffer_add_byte(&text, '\0');
  for (char *rest = text.data, *line; (line = strsep(&rest, "\n")) && *line;)
    buffer_add(&lines, &line, sizeof line);
  char **sorted = (char **)(void *)lines.data;
  size_t line_count = lines.len / sizeof *sorted;
  if (line_count > 0) qsort(sorted, line_count, sizeof *sorted, compare_lines);
  for (size_t i = 0, same; i < line_count; i += same) {
    for (same = 1; i + same < line_count && strcmp(sorted[i], sorted[i + same]) == 0;) same++;
    buffer_printf(out, "%s%zu x %s", i ? ", " : "", same, sorted[i]);
  }
  buffer_finish(&text);
  buffer_finish(&lines);
}
