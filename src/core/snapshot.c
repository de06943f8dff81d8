/* snapshot.c - a list of file texts under a lock.
 *
 * Apps have tens of files, so a list is enough. Texts are never changed or freed before the
 * snapshot is, so they are handed out without a copy. */
#include "core/snapshot.h"

#include "base/list.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

struct file {
  struct list link; /* snapshot.files */
  char *path;
  char *data;
  size_t len;
};

enum { PARTS_MAX = 4 };

struct part {
  const struct snapshot_part *kind;
  void *data;
};

struct snapshot {
  uv_mutex_t lock;   /* guards files and parts; held while a file is read for the first time */
  struct list files; /* file.link */
  struct part parts[PARTS_MAX]; /* those below the count never change: read without the lock */
  _Atomic(int) part_count;
  struct buffer settings;
  char *dir;
  const char *shown_dir; /* inside dir, or dir itself */
};

static const char *relative_to_here(const char *dir) {
  char here[4096];
  if (!getcwd(here, sizeof here)) return dir;
  size_t len = strlen(here);
  if (strncmp(dir, here, len) == 0 && dir[len] == '/' && dir[len + 1]) return dir + len + 1;
  return dir;
}

struct snapshot *snapshot_create(const char *dir) {
  struct snapshot *snapshot = memory_alloc_zero(sizeof *snapshot);
  uv_mutex_init(&snapshot->lock);
  list_init(&snapshot->files);
  snapshot->dir = memory_copy(dir, strlen(dir));
  snapshot->shown_dir = relative_to_here(snapshot->dir);
  return snapshot;
}

void snapshot_set_settings(struct snapshot *snapshot, struct buffer *settings) {
  buffer_finish(&snapshot->settings);
  snapshot->settings = *settings;
  *settings = (struct buffer){0};
}

struct slice snapshot_settings(const struct snapshot *snapshot) {
  return (struct slice){snapshot->settings.data, snapshot->settings.len};
}

void snapshot_destroy(struct snapshot *snapshot) {
  if (!snapshot) return;
  struct list *link;
  while ((link = list_pop(&snapshot->files))) {
    struct file *file = container_of(link, struct file, link);
    free(file->path);
    free(file->data);
    free(file);
  }
  for (int i = 0; i < snapshot->part_count; i++)
    snapshot->parts[i].kind->release(snapshot->parts[i].data);
  uv_mutex_destroy(&snapshot->lock);
  buffer_finish(&snapshot->settings);
  free(snapshot->dir);
  free(snapshot);
}

static bool read_whole(const char *path, struct file *file) {
  struct stat info;
  if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return false;
  FILE *stream = fopen(path, "rb");
  if (!stream) return false;
  file->data = memory_alloc((size_t)info.st_size + 1);
  file->len = fread(file->data, 1, (size_t)info.st_size, stream);
  fclose(stream);
  return true;
}

static struct file *read_file(struct snapshot *snapshot, const char *path) {
  size_t size = strlen(snapshot->dir) + strlen(path) + 2;
  char *full = memory_alloc(size);
  snprintf(full, size, "%s/%s", snapshot->dir, path);
  struct file *file = memory_alloc_zero(sizeof *file);
  bool found = read_whole(full, file);
  free(full);
  if (!found) {
    free(file);
    return NULL;
  }
  file->path = memory_copy(path, strlen(path));
  list_push(&snapshot->files, &file->link);
  return file;
}

static struct file *find_file(struct snapshot *snapshot, const char *path) {
  for (struct list *link = snapshot->files.next; link != &snapshot->files; link = link->next) {
    struct file *file = container_of(link, struct file, link);
    if (strcmp(file->path, path) == 0) return file;
  }
  return NULL;
}

bool snapshot_read(struct snapshot *snapshot, const char *path, struct slice *text) {
  uv_mutex_lock(&snapshot->lock);
  struct file *file = find_file(snapshot, path);
  if (!file) file = read_file(snapshot, path);
  uv_mutex_unlock(&snapshot->lock);
  if (file) *text = (struct slice){file->data, file->len};
  return file != NULL;
}

static struct part *find_part(struct snapshot *snapshot, const struct snapshot_part *kind) {
  int count = atomic_load_explicit(&snapshot->part_count, memory_order_acquire);
  for (int i = 0; i < count; i++)
    if (snapshot->parts[i].kind == kind) return &snapshot->parts[i];
  return NULL;
}

/* Under the lock. */
static struct part *add_part(struct snapshot *snapshot, const struct snapshot_part *kind,
                             const void *context) {
  int count = snapshot->part_count;
  assert(count < PARTS_MAX);
  snapshot->parts[count] = (struct part){kind, kind->create(context)};
  atomic_store_explicit(&snapshot->part_count, count + 1, memory_order_release);
  return &snapshot->parts[count];
}

void *snapshot_share(struct snapshot *snapshot, const struct snapshot_part *kind,
                     const void *context) {
  struct part *part = find_part(snapshot, kind);
  if (part) return part->data;
  uv_mutex_lock(&snapshot->lock);
  part = find_part(snapshot, kind);
  if (!part) part = add_part(snapshot, kind, context);
  uv_mutex_unlock(&snapshot->lock);
  return part->data;
}

const char *snapshot_dir(const struct snapshot *snapshot) {
  return snapshot->dir;
}

const char *snapshot_shown_dir(const struct snapshot *snapshot) {
  return snapshot->shown_dir;
}
