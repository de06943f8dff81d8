/* sqlite_database.c - holding a database, and the queues between those who use it and its threads.
 *
 * Nothing is freed under the lock: letting go of a unit or a cursor may take it again. */
#include "lib/sqlite_database.h"

#include "base/limits.h"
#include "lib/sqlite_cursor.h"
#include "lib/sqlite_job.h"
#include "lib/sqlite_reader.h"
#include "lib/sqlite_registry.h"
#include "lib/sqlite_unit.h"
#include "lib/sqlite_writer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- holding ---- */

struct sqlite_database *sqlite_database_create(struct sqlite_registry *registry, const char *path,
                                               const struct sqlite_options *options) {
  struct sqlite_database *database = memory_alloc_zero(sizeof *database);
  database->registry = registry;
  database->path = memory_copy(path, strlen(path));
  database->is_memory = strcmp(path, ":memory:") == 0;
  database->options = *options;
  atomic_init(&database->references, 1);
  list_init(&database->listed);
  list_init(&database->writes);
  list_init(&database->reads);
  list_init(&database->units);
  list_init(&database->cursors);
  list_init(&database->dropped);
  list_init(&database->dropped_on_writer);
  list_init(&database->spare);
  uv_mutex_init(&database->_lock);
  uv_cond_init(&database->for_writer);
  uv_cond_init(&database->for_readers);
  return database;
}

static void destroy(struct sqlite_database *database) {
  struct sqlite_registry *registry = database->registry;
  assert(list_is_empty(&database->spare) && list_is_empty(&database->units));
  uv_cond_destroy(&database->for_readers);
  uv_cond_destroy(&database->for_writer);
  uv_mutex_destroy(&database->_lock);
  free(database->path);
  free(database);
  sqlite_registry_note_end(registry);
}

void sqlite_database_retain(struct sqlite_database *database) {
  atomic_fetch_add_explicit(&database->references, 1, memory_order_relaxed);
}

bool sqlite_database_try_retain(struct sqlite_database *database) {
  int count = atomic_load_explicit(&database->references, memory_order_relaxed);
  while (count > 0)
    if (atomic_compare_exchange_weak(&database->references, &count, count + 1)) return true;
  return false;
}

void sqlite_database_release(struct sqlite_database *database) {
  if (atomic_fetch_sub_explicit(&database->references, 1, memory_order_acq_rel) > 1) return;
  sqlite_registry_remove(database->registry, database);
}

void sqlite_database_close(struct sqlite_database *database) {
  sqlite_database_lock(database);
  database->is_closing = true;
  bool has_threads = database->threads > 0;
  uv_cond_broadcast(&database->for_writer);
  uv_cond_broadcast(&database->for_readers);
  sqlite_database_unlock(database);
  if (!has_threads) destroy(database);
}

bool sqlite_database_is_open(struct sqlite_database *database) {
  sqlite_database_lock(database);
  bool is_open = database->is_open;
  sqlite_database_unlock(database);
  return is_open;
}

/* ---- the lock ---- */

void sqlite_database_lock(struct sqlite_database *database) {
  uv_mutex_lock(&database->_lock);
}

void sqlite_database_unlock(struct sqlite_database *database) {
  uv_mutex_unlock(&database->_lock);
}

void sqlite_database_wait(struct sqlite_database *database, uv_cond_t *condition) {
  uv_cond_wait(condition, &database->_lock);
}

/* ---- threads; under the lock ---- */

static void start_thread(struct sqlite_database *database, bool is_writer) {
  database->threads++;
  sqlite_registry_start_thread(database->registry, database, is_writer);
}

void sqlite_database_wake_writer(struct sqlite_database *database) {
  if (!database->has_writer) start_thread(database, true);
  database->has_writer = true;
  uv_cond_signal(&database->for_writer);
}

/* `is_busy`: others wait already. */
static void wake_reader(struct sqlite_database *database, bool is_busy) {
  bool may_start = database->readers < database->options.readers;
  if ((database->idle_readers == 0 || is_busy) && may_start) {
    database->readers++;
    start_thread(database, false);
  }
  uv_cond_signal(&database->for_readers);
}

void sqlite_database_end_thread(struct sqlite_database *database) {
  sqlite_database_lock(database);
  bool is_last = --database->threads == 0 && database->is_closing;
  sqlite_database_unlock(database);
  if (is_last) destroy(database);
}

/* Moves all jobs of a queue into `lost`. */
static void lose_jobs(struct sqlite_database *database, struct list *queue, struct list *lost) {
  struct list *link;
  while ((link = list_pop(queue))) {
    container_of(link, struct sqlite_job, link)->state = SQLITE_JOB_TAKEN;
    database->waiting--;
    list_push(lost, link);
  }
}

/* Those that wait would wait for ever. */
void sqlite_database_lose_thread(struct sqlite_database *database, bool is_writer) {
  struct list lost, *link;
  list_init(&lost);
  sqlite_database_lock(database);
  if (is_writer)
    database->has_writer = false;
  else
    database->readers--;
  if (is_writer || database->readers == 0)
    lose_jobs(database, is_writer ? &database->writes : &database->reads, &lost);
  sqlite_database_unlock(database);
  while ((link = list_pop(&lost))) {
    struct sqlite_job *job = container_of(link, struct sqlite_job, link);
    sqlite_failure_set(&job->failure, SQLITE_NOMEM, "cannot start a thread");
    sqlite_job_finish(job);
  }
  sqlite_database_end_thread(database);
}

/* ---- queues ---- */

static void put_for_writer(struct sqlite_database *database, struct sqlite_job *job) {
  struct sqlite_unit *unit = sqlite_unit_find_open(job->unit);
  list_push(unit ? &unit->jobs : &database->writes, &job->link);
  sqlite_database_wake_writer(database);
}

/* A cursor that has begun stays where its connection is. */
static bool is_for_readers(const struct sqlite_database *database, const struct sqlite_job *job) {
  if (database->is_memory) return false;
  if (job->cursor) return !job->cursor->unit;
  return job->may_read && !sqlite_unit_find_open(job->unit);
}

bool sqlite_database_submit(struct sqlite_database *database, struct sqlite_job *job,
                            bool *is_due) {
  sqlite_database_lock(database);
  bool for_readers = is_for_readers(database, job);
  if (is_due) *is_due = for_readers || sqlite_unit_find_open(job->unit) == database->unit;
  bool has_room = database->waiting < SQLITE_JOBS_MAX;
  if (has_room) {
    sqlite_job_retain(job);
    database->waiting++;
    job->state = SQLITE_JOB_QUEUED;
    if (for_readers) {
      bool is_busy = !list_is_empty(&database->reads);
      list_push(&database->reads, &job->link);
      wake_reader(database, is_busy);
    } else {
      put_for_writer(database, job);
    }
  }
  sqlite_database_unlock(database);
  return has_room;
}

void sqlite_database_pass_on(struct sqlite_database *database, struct sqlite_job *job) {
  sqlite_database_lock(database);
  database->waiting++;
  job->may_read = false;
  job->state = SQLITE_JOB_QUEUED;
  put_for_writer(database, job);
  sqlite_database_unlock(database);
}

bool sqlite_database_take_back(struct sqlite_database *database, struct sqlite_job *job) {
  sqlite_database_lock(database);
  bool is_queued = job->state == SQLITE_JOB_QUEUED;
  if (is_queued) {
    list_remove(&job->link);
    job->state = SQLITE_JOB_TAKEN;
    database->waiting--;
  }
  sqlite_database_unlock(database);
  return is_queued;
}

void sqlite_database_move_jobs(struct sqlite_database *database, struct sqlite_unit *unit) {
  struct list *link;
  while ((link = list_pop(&unit->jobs)))
    put_for_writer(database, container_of(link, struct sqlite_job, link));
}

/* ---- units ---- */

void sqlite_database_add_unit(struct sqlite_database *database, struct sqlite_unit *unit) {
  sqlite_database_lock(database);
  list_push(&database->units, &unit->link);
  sqlite_database_unlock(database);
}

void sqlite_database_remove_unit(struct sqlite_database *database, struct sqlite_unit *unit) {
  sqlite_database_lock(database);
  list_remove(&unit->link);
  sqlite_database_unlock(database);
}

static bool try_retain_unit(struct sqlite_unit *unit) {
  int count = atomic_load_explicit(&unit->references, memory_order_relaxed);
  while (count > 0)
    if (atomic_compare_exchange_weak(&unit->references, &count, count + 1)) return true;
  return false;
}

struct sqlite_unit *sqlite_database_find_unit(struct sqlite_database *database, uint64_t id) {
  struct sqlite_unit *found = NULL;
  sqlite_database_lock(database);
  struct list *units = &database->units;
  for (struct list *link = units->next; link != units && !found; link = link->next) {
    struct sqlite_unit *unit = container_of(link, struct sqlite_unit, link);
    if (unit->id == id && try_retain_unit(unit)) found = unit;
  }
  sqlite_database_unlock(database);
  return found;
}

/* ---- cursors ---- */

bool sqlite_database_count_cursor(struct sqlite_database *database) {
  sqlite_database_lock(database);
  bool has_room = database->cursor_count < SQLITE_CURSORS_MAX;
  if (has_room) database->cursor_count++;
  sqlite_database_unlock(database);
  return has_room;
}

void sqlite_database_uncount_cursor(struct sqlite_database *database) {
  sqlite_database_lock(database);
  database->cursor_count--;
  sqlite_database_unlock(database);
}

/* The list holds it until its thread has looked at it. A running one is dropped by who runs it. */
void sqlite_database_drop_cursor(struct sqlite_database *database, struct sqlite_cursor *cursor) {
  sqlite_database_lock(database);
  cursor->is_dropped = true;
  if (!cursor->is_running && cursor->connection) {
    atomic_fetch_add_explicit(&cursor->references, 1, memory_order_relaxed);
    list_remove(&cursor->link);
    if (cursor->is_on_writer) {
      list_push(&database->dropped_on_writer, &cursor->link);
      sqlite_database_wake_writer(database);
    } else {
      list_push(&database->dropped, &cursor->link);
      wake_reader(database, false);
    }
  }
  sqlite_database_unlock(database);
}
