/* server_tasks.c - adds up what the threads of a server have counted of tasks.
 *
 * Counts are right at any time (core/metrics.h); the places belong to the threads until they end.
 */
#include "server_tasks.h"

#include "base/log.h"
#include "roles/background.h"
#include "server_thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct workers {
  const struct worker **all;
  size_t count;
};

static struct workers list_workers(const struct server_shared *shared,
                                   const struct server_thread *threads, size_t count) {
  size_t loops = background_workers(shared->background, NULL, 0);
  struct workers workers = {.all = memory_alloc((count + loops) * sizeof(struct worker *))};
  for (size_t i = 0; i < count; i++) workers.all[workers.count++] = &threads[i].worker;
  background_workers(shared->background, workers.all + count, loops);
  workers.count += loops;
  return workers;
}

static int64_t total(const struct workers *workers, enum metric metric) {
  uint64_t sum = 0;
  for (size_t i = 0; i < workers->count; i++) sum += metrics_get(&workers->all[i]->metrics, metric);
  return (int64_t)sum;
}

static int compare_lines(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Where tasks were cancelled, the same place once, with how many. */
static void add_places(const struct workers *workers, struct buffer *out) {
  struct buffer text = {0}, lines = {0};
  for (size_t i = 0; i < workers->count; i++) {
    const struct buffer *places = &workers->all[i]->tasks.cancelled_at;
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

static void write_table(const struct workers *workers, bool have_ended, uint64_t waited_ns) {
  struct buffer places = {0};
  int64_t scheduled = total(workers, METRIC_TASKS_SCHEDULED);
  int64_t done = total(workers, METRIC_TASKS_ENDED_DONE);
  int64_t failed = total(workers, METRIC_TASKS_ENDED_FAILED);
  int64_t cancelled = total(workers, METRIC_TASKS_ENDED_CANCELLED);
  int64_t dropped = total(workers, METRIC_TASKS_ENDED_DROPPED);
  if (scheduled == 0) return;
  if (have_ended) add_places(workers, &places);
  buffer_add_byte(&places, '\0');
  const struct log_field fields[] = {
      log_integer("scheduled", scheduled),
      log_integer("done", done),
      log_integer("failed", failed),
      log_integer("cancelled", cancelled),
      log_integer("dropped", dropped),
      log_integer("unfinished", scheduled - done - failed - cancelled - dropped),
      log_integer("shielded", total(workers, METRIC_TASKS_WAITED_FOR)),
      log_number("shielded_waited_s", (double)waited_ns / (double)NS_PER_SECOND),
      log_text("cancelled_at", places.data),
  };
  log_write(workers->all[0]->process->log, LOG_INFO, "tasks", fields, array_len(fields));
  buffer_finish(&places);
}

void server_tasks_log(const struct server_shared *shared, const struct server_thread *threads,
                      int count, bool have_ended, uint64_t waited_ns) {
  struct workers workers = list_workers(shared, threads, (size_t)count);
  write_table(&workers, have_ended, waited_ns);
  free(workers.all);
}
