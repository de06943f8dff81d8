/* server_tasks.c - logs what the threads of a server have counted of tasks.
 *
 * They are added up in roles/task_totals.c. */
#include "server_tasks.h"

#include "base/log.h"
#include "roles/background.h"
#include "roles/task_totals.h"
#include "server_thread.h"

#include <stdlib.h>

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

static void list_places(const struct workers *workers, struct buffer *places) {
  struct buffer lines = {0};
  for (size_t i = 0; i < workers->count; i++) {
    const struct buffer *cancelled = &workers->all[i]->tasks.end.cancelled_at;
    buffer_add(&lines, cancelled->data, cancelled->len);
  }
  task_totals_list_places(&lines, places);
}

static void write_table(const struct workers *workers, bool have_ended, uint64_t waited_ns) {
  struct buffer places = {0};
  struct task_totals totals = {0};
  for (size_t i = 0; i < workers->count; i++) task_totals_add(&totals, &workers->all[i]->metrics);
  if (totals.scheduled == 0) return;
  if (have_ended) list_places(workers, &places);
  if (totals.shielded == 0) waited_ns = 0; /* it was for requests */
  buffer_add_byte(&places, '\0');
  const struct log_field fields[] = {
      log_integer("scheduled", totals.scheduled),
      log_integer("done", totals.done),
      log_integer("failed", totals.failed),
      log_integer("cancelled", totals.cancelled),
      log_integer("dropped", totals.dropped),
      log_integer("unfinished", task_totals_unfinished(&totals)),
      log_integer("shielded", totals.shielded),
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
