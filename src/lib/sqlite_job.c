/* sqlite_job.c - making jobs, sending them back, and letting go of them.
 *
 * A job that has been posted belongs to the message until it is delivered. Its worker may have
 * ended: then the post fails and the job is let go of here. */
#include "lib/sqlite_job.h"

#include "core/directory.h"
#include "core/worker.h"
#include "lib/sqlite_cursor.h"
#include "lib/sqlite_database.h"
#include "lib/sqlite_registry.h"
#include "lib/sqlite_unit.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct sqlite_job *sqlite_job_create(struct sqlite_registry *registry, enum sqlite_job_kind kind) {
  struct sqlite_job *job = memory_alloc_zero(sizeof *job);
  job->kind = kind;
  job->registry = registry;
  list_init(&job->link);
  list_init(&job->told);
  atomic_init(&job->references, 1);
  return job;
}

void sqlite_job_aim(struct sqlite_job *job, struct sqlite_database *database,
                    struct sqlite_unit *unit) {
  sqlite_database_retain(database);
  job->database = database;
  if (unit) sqlite_unit_retain(unit);
  job->unit = unit;
}

/* ---- what kind of statement ---- */

/* Where the text begins, behind blanks and comments. */
static const char *skip_blanks(const char *at, const char *end) {
  while (at < end) {
    if (isspace((unsigned char)*at)) {
      at++;
    } else if (end - at >= 2 && at[0] == '-' && at[1] == '-') {
      while (at < end && *at != '\n') at++;
    } else if (end - at >= 2 && at[0] == '/' && at[1] == '*') {
      for (at += 2; at < end && !(at[-1] == '*' && at[0] == '/'); at++) continue;
      if (at < end) at++;
    } else {
      break;
    }
  }
  return at;
}

static bool begins_with(struct slice text, const char *const words[]) {
  for (size_t i = 0; words[i]; i++) {
    size_t len = strlen(words[i]);
    bool is_same = text.len > len && strncasecmp(text.data, words[i], len) == 0;
    if (is_same && !isalnum((unsigned char)text.data[len]) && text.data[len] != '_') return true;
  }
  return false;
}

/* It may stand in a string as well; so this is about what is surely one statement. */
static bool has_inner_semicolon(struct slice text) {
  const char *semicolon = memchr(text.data, ';', text.len);
  const char *end = text.data + text.len;
  return semicolon && skip_blanks(semicolon + 1, end) < end;
}

bool sqlite_job_is_all(struct slice sql, size_t used) {
  const char *at = sql.data + used, *end = sql.data + sql.len;
  while ((at = skip_blanks(at, end)) < end && *at == ';') at++;
  return at == end;
}

void sqlite_job_set_sql(struct sqlite_job *job, struct slice sql) {
  static const char *const writing[] = {"insert", "update", "delete", "replace", NULL};
  static const char *const reading[] = {"select", "with", "values", "explain", "pragma", NULL};
  buffer_add(&job->sql, sql.data, sql.len);
  buffer_add_byte(&job->sql, '\0');
  job->sql.len--;
  const char *end = job->sql.data + job->sql.len;
  const char *begin = skip_blanks(job->sql.data, end);
  const struct slice text = {begin, (size_t)(end - begin)};
  job->may_group = begins_with(text, writing) && !has_inner_semicolon(text);
  job->may_read = job->wanted != SQLITE_WANTED_NONE && begins_with(text, reading);
}

/* ---- holding ---- */

void sqlite_job_set_ticket(struct sqlite_job *job, struct fiber *fiber) {
  job->worker = fiber->worker->number;
  job->ticket = fiber_ticket(fiber);
}

void sqlite_job_retain(struct sqlite_job *job) {
  atomic_fetch_add_explicit(&job->references, 1, memory_order_relaxed);
}

void sqlite_job_release(struct sqlite_job *job) {
  if (atomic_fetch_sub_explicit(&job->references, 1, memory_order_acq_rel) > 1) return;
  sqlite_cursor_release(job->cursor);
  sqlite_unit_release(job->begun);
  sqlite_unit_release(job->unit);
  if (job->database) sqlite_database_release(job->database);
  free(job->path);
  buffer_finish(&job->sql);
  buffer_finish(&job->parameters.bytes);
  buffer_finish(&job->rows);
  sqlite_failure_clear(&job->failure);
  free(job);
}

void sqlite_job_hold(struct sqlite_job *job, struct worker *worker) {
  worker_hold(worker);
  job->holder = worker;
}

static void release_holder(struct sqlite_job *job) {
  if (job->holder) worker_release(job->holder);
  job->holder = NULL;
}

/* A job that opens has no queue that it could be taken from: it ends by itself. */
void sqlite_job_drop(struct sqlite_job *job) {
  if (!job) return;
  job->is_dropped = true;
  release_holder(job);
  atomic_store_explicit(&job->is_cancelled, true, memory_order_relaxed);
  bool may_wait = !job->is_back && job->kind != SQLITE_JOB_OPEN && job->database;
  if (may_wait && sqlite_database_take_back(job->database, job)) sqlite_job_release(job);
  sqlite_job_release(job);
}

bool sqlite_job_is_given_up(const struct sqlite_job *job) {
  if (atomic_load_explicit(&job->is_cancelled, memory_order_relaxed)) return true;
  return job->unit && sqlite_unit_is_aborted(job->unit);
}

void sqlite_job_reset(struct sqlite_job *job) {
  sqlite_failure_clear(&job->failure);
  buffer_clear(&job->rows);
  job->row_count = 0;
  job->changes = job->inserted_id = 0;
}

/* ---- the way back ---- */

static void deliver(struct message *message, void *owner) {
  struct sqlite_job *job = container_of(message, struct sqlite_job, message);
  (void)owner;
  job->is_back = true;
  release_holder(job);
  if (!job->is_dropped) fiber_wake(job->ticket);
  sqlite_job_release(job);
}

/* The reference that the message has. */
static void post(struct sqlite_job *job, struct message *message) {
  struct directory *directory = sqlite_registry_directory(job->registry);
  if (!directory_post(directory, job->worker, message)) sqlite_job_release(job);
}

void sqlite_job_finish(struct sqlite_job *job) {
  job->message.deliver = deliver;
  post(job, &job->message);
}

static void deliver_blocked(struct message *message, void *owner) {
  struct sqlite_job *job = container_of(message, struct sqlite_job, blocked);
  (void)owner;
  release_holder(job);
  sqlite_job_release(job);
}

void sqlite_job_tell_blocked(struct sqlite_job *job) {
  job->blocked.deliver = deliver_blocked;
  post(job, &job->blocked);
}
