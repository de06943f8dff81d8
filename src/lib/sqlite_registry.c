/* sqlite_registry.c - which file is which database, and the keeper.
 *
 * A file is known by device and inode, whatever its name. It is never opened here when it exists:
 * closing any descriptor of a file drops the locks that SQLite has on it in this process. The
 * keeper joins threads that have ended, too. */
#include "lib/sqlite_registry.h"

#include "base/limits.h"
#include "core/timer.h"
#include "lib/sqlite_database.h"
#include "lib/sqlite_job.h"
#include "lib/sqlite_reader.h"
#include "lib/sqlite_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MODE = 0644 };

struct sqlite_registry {
  struct directory *directory;
  _Atomic(uint64_t) id_count;
  uv_mutex_t lock; /* guards all below; taken inside a database's, and never the other way round */
  uv_cond_t work, quiet;
  struct list databases;       /* sqlite_database.listed */
  struct list openings;        /* sqlite_job.link */
  struct list starting, ended; /* thread.link */
  int closing;                 /* databases that were removed and are not gone yet */
  int threads;                 /* that were made and are not joined yet */
  bool has_keeper, stops;
  uv_thread_t keeper;
};

struct thread {
  struct list link;
  uv_thread_t thread;
  struct sqlite_registry *registry;
  struct sqlite_database *database;
  bool is_writer;
};

struct sqlite_registry *sqlite_registry_create(struct directory *directory) {
  struct sqlite_registry *registry = memory_alloc_zero(sizeof *registry);
  registry->directory = directory;
  list_init(&registry->databases);
  list_init(&registry->openings);
  list_init(&registry->starting);
  list_init(&registry->ended);
  uv_mutex_init(&registry->lock);
  uv_cond_init(&registry->work);
  uv_cond_init(&registry->quiet);
  return registry;
}

struct directory *sqlite_registry_directory(struct sqlite_registry *registry) {
  return registry->directory;
}

uint64_t sqlite_registry_next_id(struct sqlite_registry *registry) {
  return atomic_fetch_add_explicit(&registry->id_count, 1, memory_order_relaxed) + 1;
}

/* ---- threads ---- */

static void run_thread(void *context) {
  struct thread *thread = context;
  struct sqlite_registry *registry = thread->registry;
  if (thread->is_writer)
    sqlite_writer_run(thread->database);
  else
    sqlite_reader_run(thread->database);
  sqlite_database_end_thread(thread->database);
  uv_mutex_lock(&registry->lock);
  list_push(&registry->ended, &thread->link);
  uv_cond_signal(&registry->work);
  uv_mutex_unlock(&registry->lock);
}

void sqlite_registry_start_thread(struct sqlite_registry *registry,
                                  struct sqlite_database *database, bool is_writer) {
  struct thread *thread = memory_alloc_zero(sizeof *thread);
  thread->registry = registry;
  thread->database = database;
  thread->is_writer = is_writer;
  uv_mutex_lock(&registry->lock);
  list_push(&registry->starting, &thread->link);
  uv_cond_signal(&registry->work);
  uv_mutex_unlock(&registry->lock);
}

static void count_thread(struct sqlite_registry *registry, int by) {
  uv_mutex_lock(&registry->lock);
  registry->threads += by;
  uv_mutex_unlock(&registry->lock);
}

static void make_thread(struct thread *thread) {
  count_thread(thread->registry, 1);
  if (uv_thread_create(&thread->thread, run_thread, thread) == 0) return;
  count_thread(thread->registry, -1);
  sqlite_database_lose_thread(thread->database, thread->is_writer);
  free(thread);
}

static void join_thread(struct thread *thread) {
  uv_thread_join(&thread->thread);
  count_thread(thread->registry, -1);
  free(thread);
}

/* ---- opening ---- */

static bool fail(struct sqlite_job *job, int error) {
  return sqlite_failure_set(&job->failure, SQLITE_CANTOPEN, "cannot open %s: %s", job->path,
                            uv_strerror(uv_translate_sys_error(error)));
}

/* Another process may make it meanwhile. */
static bool make_file(struct sqlite_job *job) {
  int fd = open(job->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
  if (fd >= 0) close(fd);
  return fd >= 0 || errno == EEXIST || fail(job, errno);
}

/* Makes the file when it is to be made; tells which one it is. */
static bool find_file(struct sqlite_job *job, struct stat *info) {
  bool exists = stat(job->path, info) == 0;
  if (!exists && (errno != ENOENT || !job->options.create)) return fail(job, errno);
  if (!exists && !make_file(job)) return false;
  if (!exists && stat(job->path, info) != 0) return fail(job, errno);
  return S_ISREG(info->st_mode) || sqlite_failure_set(&job->failure, SQLITE_CANTOPEN,
                                                      "cannot open %s: it is no file", job->path);
}

/* Name of the first option that is another one in `b`, or NULL. */
static const char *find_difference(const struct sqlite_options *a, const struct sqlite_options *b) {
  if (a->synchronous != b->synchronous) return "synchronous";
  if (a->readers != b->readers) return "readers";
  if (a->statements != b->statements) return "cache";
  if (a->busy_timeout_ns != b->busy_timeout_ns) return "busy_timeout";
  return NULL;
}

/* The database of a file, a reference; NULL: it is not open. Under the lock. An open file keeps its
 * inode; that of one that could not be opened may be another file's by now. */
static struct sqlite_database *find_open(struct sqlite_registry *registry, const struct stat *info,
                                         bool readonly) {
  struct list *databases = &registry->databases;
  for (struct list *link = databases->next; link != databases; link = link->next) {
    struct sqlite_database *database = container_of(link, struct sqlite_database, listed);
    bool is_same = database->device == info->st_dev && database->inode == info->st_ino;
    if (!is_same || database->is_memory || database->options.readonly != readonly) continue;
    if (atomic_load(&database->has_failed)) continue;
    if (sqlite_database_try_retain(database)) return database;
  }
  return NULL;
}

static struct sqlite_database *find_or_create(struct sqlite_registry *registry,
                                              const struct sqlite_job *job, const struct stat *info,
                                              bool is_memory) {
  uv_mutex_lock(&registry->lock);
  struct sqlite_database *database =
      is_memory ? NULL : find_open(registry, info, job->options.readonly);
  if (!database) {
    database = sqlite_database_create(registry, job->path, &job->options);
    database->id = sqlite_registry_next_id(registry);
    database->device = info->st_dev;
    database->inode = info->st_ino;
    list_push(&registry->databases, &database->listed);
  }
  uv_mutex_unlock(&registry->lock);
  return database;
}

/* Finds the database; false when that was all, or why it failed. Else its writer opens it. */
static bool open_database(struct sqlite_registry *registry, struct sqlite_job *job) {
  struct stat info = {0};
  bool is_memory = strcmp(job->path, ":memory:") == 0;
  if (!is_memory && !find_file(job, &info)) return false;
  job->database = find_or_create(registry, job, &info, is_memory);
  const char *difference = find_difference(&job->database->options, &job->options);
  if (difference)
    return sqlite_failure_misuse(&job->failure, "%s is open already with another option \"%s\"",
                                 job->path, difference);
  if (sqlite_database_is_open(job->database)) return false;
  return sqlite_database_submit(job->database, job, NULL) ||
         sqlite_failure_set(&job->failure, SQLITE_BUSY, "too many calls wait for the database");
}

/* A queue has a reference of its own. */
static void open_or_finish(struct sqlite_registry *registry, struct sqlite_job *job) {
  if (open_database(registry, job))
    sqlite_job_release(job);
  else
    sqlite_job_finish(job);
}

void sqlite_registry_open(struct sqlite_registry *registry, struct sqlite_job *job) {
  sqlite_job_retain(job);
  uv_mutex_lock(&registry->lock);
  list_push(&registry->openings, &job->link);
  uv_cond_signal(&registry->work);
  uv_mutex_unlock(&registry->lock);
}

struct sqlite_database *sqlite_registry_find(struct sqlite_registry *registry, uint64_t id) {
  struct sqlite_database *found = NULL;
  uv_mutex_lock(&registry->lock);
  struct list *databases = &registry->databases;
  for (struct list *link = databases->next; link != databases && !found; link = link->next) {
    struct sqlite_database *database = container_of(link, struct sqlite_database, listed);
    if (database->id == id && sqlite_database_try_retain(database)) found = database;
  }
  uv_mutex_unlock(&registry->lock);
  return found;
}

void sqlite_registry_remove(struct sqlite_registry *registry, struct sqlite_database *database) {
  uv_mutex_lock(&registry->lock);
  list_remove(&database->listed);
  registry->closing++;
  uv_mutex_unlock(&registry->lock);
  sqlite_database_close(database);
}

void sqlite_registry_note_end(struct sqlite_registry *registry) {
  uv_mutex_lock(&registry->lock);
  registry->closing--;
  uv_cond_signal(&registry->quiet);
  uv_mutex_unlock(&registry->lock);
}

/* ---- the keeper ---- */

static bool has_work(const struct sqlite_registry *registry) {
  return !list_is_empty(&registry->openings) || !list_is_empty(&registry->starting) ||
         !list_is_empty(&registry->ended);
}

/* Does all that is in the lists, outside of the lock. */
static void work(struct sqlite_registry *registry) {
  struct list *link;
  uv_mutex_lock(&registry->lock);
  while (!has_work(registry) && !(registry->stops && registry->threads == 0))
    uv_cond_wait(&registry->work, &registry->lock);
  struct list *ended = list_pop(&registry->ended), *starting = list_pop(&registry->starting);
  link = list_pop(&registry->openings);
  uv_mutex_unlock(&registry->lock);
  if (ended) join_thread(container_of(ended, struct thread, link));
  if (starting) make_thread(container_of(starting, struct thread, link));
  if (link) open_or_finish(registry, container_of(link, struct sqlite_job, link));
}

static bool is_stopped(struct sqlite_registry *registry) {
  uv_mutex_lock(&registry->lock);
  bool is_stopped = registry->stops && !has_work(registry) && registry->threads == 0;
  uv_mutex_unlock(&registry->lock);
  return is_stopped;
}

static void keep(void *context) {
  while (!is_stopped(context)) work(context);
}

/* Signals are the main thread's. */
bool sqlite_registry_start(struct sqlite_registry *registry) {
  sigset_t all, before;
  sigfillset(&all);
  uv_mutex_lock(&registry->lock);
  if (!registry->has_keeper) {
    pthread_sigmask(SIG_SETMASK, &all, &before);
    registry->has_keeper = uv_thread_create(&registry->keeper, keep, registry) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  bool has_keeper = registry->has_keeper;
  uv_mutex_unlock(&registry->lock);
  return has_keeper;
}

/* Under the lock. */
static void wait_until_quiet(struct sqlite_registry *registry) {
  uint64_t waited_ns = 0, began_ns = uv_hrtime();
  const uint64_t most_ns = SQLITE_LEAVE_MS * NS_PER_MS;
  while (registry->closing > 0 || (!list_is_empty(&registry->databases) && waited_ns < most_ns)) {
    uv_cond_timedwait(&registry->quiet, &registry->lock, NS_PER_MS);
    waited_ns = uv_hrtime() - began_ns;
  }
}

bool sqlite_registry_destroy(struct sqlite_registry *registry) {
  if (!registry) return true;
  uv_mutex_lock(&registry->lock);
  wait_until_quiet(registry);
  bool is_held = !list_is_empty(&registry->databases);
  registry->stops = true;
  uv_cond_signal(&registry->work);
  uv_mutex_unlock(&registry->lock);
  if (is_held) return false;
  if (registry->has_keeper) uv_thread_join(&registry->keeper);
  uv_cond_destroy(&registry->quiet);
  uv_cond_destroy(&registry->work);
  uv_mutex_destroy(&registry->lock);
  free(registry);
  return true;
}
