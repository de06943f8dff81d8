/* spool.c - who may have files, and their names.
 *
 * The lock guards lists of names only; files are made and removed outside of it. A file's name is
 * listed before the file is made, and its request looked for again afterwards: so either the one
 * who closes the request removes the file, or the one who made it. */
#include "lib/spool.h"

#include "base/list.h"
#include "lib/lease.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_PREFIX "perilune-"

enum {
  BUCKETS = 256, /* of a hash by request */
  NEW_FILE_MODE = 0666,
  MAKE_TRIES = 10 /* of the directory */
};

struct spool {
  uv_mutex_t lock; /* guards the lists, file_count and cleared; nothing is waited for inside */
  struct list buckets[BUCKETS]; /* entry.link */
  uint64_t file_count;          /* ever made; names the files */
  bool cleared;
  mode_t file_mode;
  uv_mutex_t making; /* guards the two below; held while the directory is made, by no loop */
  bool swept;
  int lease; /* of the directory, -1: none */
  char parent[SPOOL_PATH_BYTES / 4];
  char directory[SPOOL_PATH_BYTES / 2];
};

/* A request with files. */
struct entry {
  struct list link;
  struct list files; /* file.link */
  uint64_t request;
  bool closed; /* its files are being removed */
  struct spool *spool;
  uv_work_t work;
};

struct file {
  struct list link;
  uint64_t number;
};

struct spool *spool_create(void) {
  struct spool *spool = memory_alloc_zero(sizeof *spool);
  const char *parent = getenv("TMPDIR");
  uint64_t number;
  if (!parent || *parent != '/') parent = "/tmp";
  if (getrandom(&number, sizeof number, 0) < 0) number = uv_hrtime() ^ (uint64_t)getpid();
  (void)snprintf(spool->parent, sizeof spool->parent, "%s", parent);
  (void)snprintf(spool->directory, sizeof spool->directory, "%s/" NAME_PREFIX "%016llx",
                 spool->parent, (unsigned long long)number);
  spool->lease = -1;
  mode_t mask = umask(0);
  umask(mask);
  spool->file_mode = NEW_FILE_MODE & ~mask;
  for (size_t i = 0; i < BUCKETS; i++) list_init(&spool->buckets[i]);
  int error = uv_mutex_init(&spool->lock) | uv_mutex_init(&spool->making);
  assert(error == 0);
  (void)error;
  return spool;
}

/* ---- under the lock ---- */

static struct entry *find_entry(struct spool *spool, uint64_t request) {
  struct list *bucket = &spool->buckets[request % BUCKETS];
  for (struct list *link = bucket->next; link != bucket; link = link->next) {
    struct entry *entry = container_of(link, struct entry, link);
    if (entry->request == request && !entry->closed) return entry;
  }
  return NULL;
}

static void add_entry(struct spool *spool, uint64_t request) {
  struct entry *entry = memory_alloc_zero(sizeof *entry);
  list_init(&entry->files);
  entry->request = request;
  entry->spool = spool;
  list_push(&spool->buckets[request % BUCKETS], &entry->link);
}

static void free_entry(struct entry *entry) {
  struct list *link;
  while ((link = list_pop(&entry->files))) free(container_of(link, struct file, link));
  list_remove(&entry->link);
  free(entry);
}

/* ---- files ---- */

static void write_path(const struct spool *spool, uint64_t number, char path[SPOOL_PATH_BYTES]) {
  (void)snprintf(path, SPOOL_PATH_BYTES, "%s/%llu", spool->directory, (unsigned long long)number);
}

static void remove_file(const struct spool *spool, uint64_t number) {
  char path[SPOOL_PATH_BYTES];
  write_path(spool, number, path);
  (void)unlink(path);
}

/* The entry is closed, so its list stays as it is. */
static void remove_files(const struct entry *entry) {
  for (struct list *link = entry->files.next; link != &entry->files; link = link->next)
    remove_file(entry->spool, container_of(link, struct file, link)->number);
}

/* Makes the directory, or finds it made by us before and not by someone who knows its name. A sweep
 * of another process may take it away before it is leased. */
static int make_directory(struct spool *spool) {
  struct stat info;
  if (mkdir(spool->directory, S_IRWXU) == 0) {
    int lease = lease_take(spool->directory);
    if (lease < 0) return lease;
    if (spool->lease >= 0) close(spool->lease);
    spool->lease = lease;
    return 0;
  }
  if (errno != EEXIST || lstat(spool->directory, &info) != 0) return uv_translate_sys_error(errno);
  bool is_ours = S_ISDIR(info.st_mode) && info.st_uid == geteuid() &&
                 (info.st_mode & (S_IRWXG | S_IRWXO)) == 0;
  return is_ours ? 0 : UV_EACCES;
}

/* The first time, what ended processes have left goes. */
static int prepare_directory(struct spool *spool) {
  uv_mutex_lock(&spool->making);
  if (!spool->swept) lease_sweep(spool->parent, NAME_PREFIX);
  spool->swept = true;
  uv_err error = UV_EBUSY;
  for (int i = 0; i < MAKE_TRIES && error == UV_EBUSY; i++) error = make_directory(spool);
  uv_mutex_unlock(&spool->making);
  return error;
}

static int make(struct spool *spool, const char *path) {
  static const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  int fd = open(path, flags, S_IRUSR | S_IWUSR);
  if (fd < 0 && errno == ENOENT) {
    uv_err error = prepare_directory(spool);
    if (error) return error;
    fd = open(path, flags, S_IRUSR | S_IWUSR);
  }
  return fd < 0 ? uv_translate_sys_error(errno) : fd;
}

/* Lists a new file; gives its number, 0 when the request is not open. */
static uint64_t list_file(struct spool *spool, uint64_t request) {
  struct file *file = memory_alloc_zero(sizeof *file);
  uint64_t number = 0;
  uv_mutex_lock(&spool->lock);
  struct entry *entry = spool->cleared ? NULL : find_entry(spool, request);
  if (entry) {
    number = file->number = ++spool->file_count;
    list_push(&entry->files, &file->link);
  }
  uv_mutex_unlock(&spool->lock);
  if (!entry) free(file);
  return number;
}

static bool is_open(struct spool *spool, uint64_t request) {
  uv_mutex_lock(&spool->lock);
  bool open = !spool->cleared && find_entry(spool, request);
  uv_mutex_unlock(&spool->lock);
  return open;
}

int spool_make_file(struct spool *spool, uint64_t request, char path[SPOOL_PATH_BYTES]) {
  uint64_t number = list_file(spool, request);
  if (number == 0) return UV_ECANCELED;
  write_path(spool, number, path);
  int fd = make(spool, path);
  if (fd < 0 || is_open(spool, request)) return fd;
  close(fd);
  remove_file(spool, number);
  return UV_ECANCELED;
}

/* ---- requests ---- */

void spool_open(struct spool *spool, uint64_t request) {
  uv_mutex_lock(&spool->lock);
  if (!find_entry(spool, request)) add_entry(spool, request);
  uv_mutex_unlock(&spool->lock);
}

static void run_removal(uv_work_t *work) {
  remove_files(container_of(work, struct entry, work));
}

static void end_removal(uv_work_t *work, int status) {
  struct entry *entry = container_of(work, struct entry, work);
  struct spool *spool = entry->spool;
  (void)status;
  uv_mutex_lock(&spool->lock);
  free_entry(entry);
  uv_mutex_unlock(&spool->lock);
}

void spool_close(struct spool *spool, uint64_t request, uv_loop_t *loop) {
  uv_mutex_lock(&spool->lock);
  struct entry *entry = find_entry(spool, request);
  bool has_files = entry && !list_is_empty(&entry->files);
  if (has_files)
    entry->closed = true;
  else if (entry)
    free_entry(entry);
  uv_mutex_unlock(&spool->lock);
  if (!has_files) return;
  uv_err error = uv_queue_work(loop, &entry->work, run_removal, end_removal);
  assert(error == 0 && "it fails only without a function");
  (void)error;
}

mode_t spool_file_mode(const struct spool *spool) {
  return spool->file_mode;
}

void spool_clear(struct spool *spool) {
  uv_mutex_lock(&spool->lock);
  spool->cleared = true;
  for (size_t i = 0; i < BUCKETS; i++) {
    struct list *bucket = &spool->buckets[i];
    for (struct list *link = bucket->next; link != bucket; link = link->next)
      remove_files(container_of(link, struct entry, link));
  }
  uv_mutex_unlock(&spool->lock);
  (void)rmdir(spool->directory);
}

void spool_destroy(struct spool *spool) {
  if (!spool) return;
  spool_clear(spool);
  for (size_t i = 0; i < BUCKETS; i++)
    while (!list_is_empty(&spool->buckets[i]))
      free_entry(container_of(spool->buckets[i].next, struct entry, link));
  if (spool->lease >= 0) close(spool->lease);
  uv_mutex_destroy(&spool->making);
  uv_mutex_destroy(&spool->lock);
  free(spool);
}
