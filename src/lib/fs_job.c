/* fs_job.c - what perilune.fs does with whole files and directories, by plain system calls.
 *
 * Files are opened without waiting for what is behind them: a pipe that nobody writes to is an
 * error, not a thread that hangs. */
#include "lib/fs_job.h"

#include "base/limits.h"
#include "lib/content.h"
#include "lib/save.h"
#include "lib/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum { PERMISSIONS = 07777 };

static const int write_flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

static void run(struct offload *offload) {
  struct fs_job *job = container_of(offload, struct fs_job, work.offload);
  job->error = job->run(job);
}

static void destroy(struct offload *offload) {
  struct fs_job *job = container_of(offload, struct fs_job, work.offload);
  buffer_finish(&job->bytes);
  free(job->path);
  free(job->to);
  free(job);
}

struct fs_job *fs_job_push(lua_State *L, uv_err (*code)(struct fs_job *job), const char *path,
                           const char *to) {
  struct fs_job *job = work_push(L, sizeof *job, run, destroy);
  job->run = code;
  job->path = memory_copy(path, strlen(path));
  if (to) job->to = memory_copy(to, strlen(to));
  job->mode = FS_JOB_NO_MODE;
  return job;
}

/* ---- content ---- */

uv_err fs_job_read(struct fs_job *job) {
  return content_read(job->path, job->bytes_max, &job->work.given_up, &job->bytes);
}

static mode_t new_file_mode(const struct fs_job *job) {
  return job->mode == FS_JOB_NO_MODE ? SAVE_FILE_MODE : job->mode;
}

/* Writes into the file as it is. */
static uv_err write_in_place(struct fs_job *job, int flags) {
  int fd = open(job->path, write_flags | flags, new_file_mode(job));
  if (fd < 0) return content_error();
  struct slice bytes = {job->bytes.data, job->bytes.len};
  uv_err error = content_write(fd, CONTENT_HERE, bytes, &job->work.given_up, NULL);
  if (!error && job->syncs && fsync(fd) != 0) error = content_error();
  if (close(fd) != 0 && !error) error = content_error();
  return error;
}

/* Whether the file can be replaced by another one: it is a plain one, or there is none and no link
 * that leads nowhere. What is replaced leaves its mode, unless another was asked for. */
static bool is_replaceable(struct fs_job *job, struct save *save) {
  struct stat info;
  if (stat(job->path, &info) != 0) return errno == ENOENT && lstat(job->path, &info) != 0;
  if (!S_ISREG(info.st_mode)) return false;
  if (job->mode != FS_JOB_NO_MODE) return true;
  save->mode = info.st_mode & PERMISSIONS;
  save->is_exact = true;
  return true;
}

/* The file that a path leads to: a link stays, and what it leads to is replaced. The caller frees
 * it; NULL: there is none yet. */
static char *find_target(const char *path) {
  struct stat info;
  if (lstat(path, &info) != 0 || !S_ISLNK(info.st_mode)) return NULL;
  return realpath(path, NULL);
}

uv_err fs_job_write(struct fs_job *job) {
  struct save save = {.mode = new_file_mode(job), .syncs = job->syncs, .stop = &job->work.given_up};
  if (!job->is_atomic || !is_replaceable(job, &save)) return write_in_place(job, O_TRUNC);
  char *target = find_target(job->path);
  save.to = target ? target : job->path;
  uv_err error = save_bytes(&save, (struct slice){job->bytes.data, job->bytes.len});
  free(target);
  return error;
}

uv_err fs_job_append(struct fs_job *job) {
  return write_in_place(job, O_APPEND);
}

static uv_err copy_open(struct fs_job *job, int from) {
  struct stat info;
  if (fstat(from, &info) != 0) return content_error();
  if (S_ISDIR(info.st_mode)) return UV_EISDIR;
  char *target = find_target(job->to);
  struct save save = {.to = target ? target : job->to,
                      .mode = info.st_mode & PERMISSIONS,
                      .is_exact = true,
                      .stop = &job->work.given_up};
  uv_err error = save_copy(&save, from);
  free(target);
  return error;
}

uv_err fs_job_copy(struct fs_job *job) {
  int from = open(job->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (from < 0) return content_error();
  uv_err error = copy_open(job, from);
  close(from);
  return error;
}

/* ---- names ---- */

/* What a link leads to is left in `bytes`, terminated. */
static uv_err read_link(struct fs_job *job) {
  char *target = buffer_reserve(&job->bytes, PATH_MAX);
  ssize_t len = readlink(job->path, target, PATH_MAX - 1);
  if (len < 0) return content_error();
  target[len] = '\0';
  return 0;
}

uv_err fs_job_stat(struct fs_job *job) {
  int result = job->follows ? stat(job->path, &job->info) : lstat(job->path, &job->info);
  if (result != 0) return content_error();
  return S_ISLNK(job->info.st_mode) ? read_link(job) : 0;
}

static int compare(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Puts the terminated names in the order of their bytes. */
static uv_err sort(struct buffer *names, size_t count) {
  if (count == 0) return 0;
  const char **list = malloc(count * sizeof *list);
  if (!list) return UV_ENOMEM;
  const char *at = names->data;
  for (size_t i = 0; i < count; i++, at += strlen(at) + 1) list[i] = at;
  qsort(list, count, sizeof *list, compare);
  struct buffer sorted = {0};
  for (size_t i = 0; i < count; i++) buffer_add(&sorted, list[i], strlen(list[i]) + 1);
  free(list);
  buffer_finish(names);
  *names = sorted;
  return 0;
}

uv_err fs_job_list(struct fs_job *job) {
  struct tree_walk walk = {.root = memory_copy(job->path, strlen(job->path)),
                           .is_recursive = job->is_recursive};
  struct tree_entry entry;
  uv_err error;
  while (!(error = tree_walk_next(&walk, &entry)) && entry.path) {
    if (job->type != TREE_ANY && job->type != (int)entry.type) continue;
    if (atomic_load(&job->work.given_up)) error = UV_ECANCELED;
    if (job->count == FS_NAMES_MAX) error = UV_EFBIG;
    if (error) break;
    buffer_add(&job->bytes, entry.path, strlen(entry.path) + 1);
    job->count++;
  }
  tree_walk_finish(&walk);
  return error ? error : sort(&job->bytes, job->count);
}

uv_err fs_job_make_directory(struct fs_job *job) {
  mode_t mode = job->mode == FS_JOB_NO_MODE ? S_IRWXU | S_IRWXG | S_IRWXO : job->mode;
  if (job->is_recursive) return tree_make(job->path, mode);
  return mkdir(job->path, mode) == 0 ? 0 : content_error();
}

uv_err fs_job_remove(struct fs_job *job) {
  if (job->is_recursive) return tree_remove(job->path, &job->work.given_up);
  if (unlink(job->path) == 0) return 0;
  if (errno != EISDIR && errno != EPERM) return content_error();
  return rmdir(job->path) == 0 ? 0 : content_error();
}

uv_err fs_job_rename(struct fs_job *job) {
  return rename(job->path, job->to) == 0 ? 0 : content_error();
}
