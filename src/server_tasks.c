/* server_tasks.c - adds up what the threads of a server have counted of tasks.
 *
 * Counts are right at any time (core/metrics.h); the places belong to the threads until they end.
 */
#include "server_tasks.h"

#include "base/log.h"
#include "server_thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t total(const struct server_thread *threads, int count, enum metric metric) {
  uint64_t sum = 0;
  for (int i = 0; i < count; i++) sum += metrics_get(&threads[i].worker.metrics, metric);
  return (int64_t)sum;
}

static int compare_lines(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Where tasks were cancelled, the same place once, with how many. */
static void add_places(const struct server_thread *threads, int thread_count, struct buffer *out) {
  struct buffer text = {0}, lines = {0};
  for (int i = 0; i < thread_count; i++) {
    const struct buffer *places = &threads[i].worker.tasks.cancelled_at;
    buffer_add(&text, places->data, places->len);
  }
  buffer_add_byte(&text, '\0');
  for (char *rest = text.data, *line; (line = strsep(&rest, "\n")) && *line;)
    buffer_add(&lines, &line, sizeof line);
  char **sorted = (char **)(void *)lines.data;
  size_t count = lines.len / sizeof *sorted;
  if (count > 0) qsort(sorted, count, sizeof *sorted, compare_lines);
  for (size_t i = 0, same; i < count; i += same) {
    for (same = 1; i + same < count && strcmp(sorted[i], sorted[i + same]) == 0;) same++;
    buffer_printf(out, "%s%zu x %s", i ? ", " : "", same, sorted[i]);
  }
  buffer_finish(&text);
  buffer_finish(&lines);
}

void server_tasks_log(const struct server_thread *threads, int count, bool have_ended,
                      uint64_t waited_ns) {
  struct buffer places = {0};
  int64_t scheduled = total(threads, count, METRIC_TASKS_SCHEDULED);
  int64_t done = total(threads, count, METRIC_TASKS_ENDED_DONE);
  int64_t failed = total(threads, count, METRIC_TASKS_ENDED_FAILED);
  int64_t cancelled = total(threads, count, METRIC_TASKS_ENDED_CANCELLED);
  int64_t dropped = total(threads, count, METRIC_TASKS_ENDED_DROPPED);
  if (scheduled == 0) return;
  if (have_ended) add_places(threads, count, &places);
  buffer_add_byte(&places, '\0');
  const struct log_field fields[] = {
      log_integer("scheduled", scheduled),
      log_integer("done", done),
      log_integer("failed", failed),
      log_integer("cancelled", cancelled),
      log_integer("dropped", dropped),
      log_integer("unfinished", scheduled - done - failed - cancelled - dropped),
      log_integer("shielded", total(threads, count, METRIC_TASKS_WAITED_FOR)),
      log_number("shielded_waited_s", (double)waited_ns / (double)NS_PER_SECOND),
      log_text("cancelled_at", places.data),
  };
  log_write(threads[0].worker.process->log, LOG_INFO, "tasks", fields, array_len(fields));
  buffer_finish(&places);
}
