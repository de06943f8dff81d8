/* server_watch.c - looking through the files of an app.
 *
 * A state is a hash over names, inodes, sizes and times of change, so it does not matter whether an
 * editor writes a file in place, renames another over it or does both. Where the kernel tells
 * nothing (network file systems, no watches left) a look each second still finds it. */
#include "server_watch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
  SETTLE_MS = 40,       /* between two looks that have to see the same */
  POLL_MS = 1000,       /* between looks that nobody asked for */
  DEPTH_MAX = 16,       /* of directories */
  PATH_BYTES = 4096,    /* longer ones are not looked at */
  DIRECTORIES_MAX = 512 /* that the kernel is asked to watch */
};

struct directory {
  struct list link; /* server_watch.directories */
  uv_fs_event_t event;
  struct server_watch *watch;
  char *path;
  unsigned seen_by; /* the number of the last look that has found it */
};

static void on_timer(struct timer *timer);

static void look_in(struct server_watch *watch, uint64_t delay_ms) {
  uint64_t due = uv_hrtime() + delay_ms * NS_PER_MS;
  if (timer_is_started(&watch->timer) && watch->timer.due_ns <= due) return;
  timer_start(watch->timers, &watch->timer, due, on_timer);
}

/* ---- directories ---- */

static void on_event(uv_fs_event_t *event, const char *name, int events, int status) {
  struct directory *directory = container_of(event, struct directory, event);
  (void)name;
  (void)events;
  (void)status;
  look_in(directory->watch, SETTLE_MS);
}

static void on_closed(uv_handle_t *handle) {
  struct directory *directory = container_of((uv_fs_event_t *)handle, struct directory, event);
  directory->watch->handle_count--;
  free(directory->path);
  free(directory);
}

static void forget(struct directory *directory) {
  list_remove(&directory->link);
  uv_close((uv_handle_t *)&directory->event, on_closed);
}

static void watch_directory(struct server_watch *watch, const char *path) {
  for (struct list *link = watch->directories.next; link != &watch->directories;
       link = link->next) {
    struct directory *directory = container_of(link, struct directory, link);
    if (strcmp(directory->path, path) != 0) continue;
    directory->seen_by = watch->look_count;
    return;
  }
  if (watch->handle_count >= DIRECTORIES_MAX) return;
  struct directory *directory = memory_alloc_zero(sizeof *directory);
  directory->watch = watch;
  directory->path = memory_copy(path, strlen(path));
  directory->seen_by = watch->look_count;
  list_push(&watch->directories, &directory->link);
  watch->handle_count++;
  uv_fs_event_init(watch->loop, &directory->event);
  uv_fs_event_start(&directory->event, on_event, path, 0); /* else the looks each second do */
}

static void forget_gone(struct server_watch *watch) {
  struct list *next;
  for (struct list *link = watch->directories.next; link != &watch->directories; link = next) {
    next = link->next;
    struct directory *directory = container_of(link, struct directory, link);
    if (directory->seen_by != watch->look_count) forget(directory);
  }
}

/* ---- looking ---- */

static bool is_watched_file(const char *name) {
  static const char *const endings[] = {".lua",      ".html", ".htm",  ".etlua", ".tpl",
                                        ".mustache", ".sql",  ".toml", ".yaml",  ".yml"};
  const char *ending = strrchr(name, '.');
  if (!ending || *name == '#') return false;
  for (size_t i = 0; i < array_len(endings); i++)
    if (strcmp(ending, endings[i]) == 0) return true;
  return false;
}

static uint64_t mix(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9E3779B97F4A7C15u + (hash << 6) + (hash >> 2);
  return hash * 0xBF58476D1CE4E5B9u;
}

static uint64_t hash_text(const char *text) {
  uint64_t hash = 0;
  for (; *text; text++) hash = mix(hash, (unsigned char)*text);
  return hash;
}

static uint64_t hash_file(const char *path, const struct stat *info) {
  uint64_t hash = hash_text(path);
  hash = mix(hash, (uint64_t)info->st_ino);
  hash = mix(hash, (uint64_t)info->st_size);
  hash = mix(hash, (uint64_t)info->st_mtim.tv_sec);
  hash = mix(hash, (uint64_t)info->st_mtim.tv_nsec);
  return hash;
}

/* The order of entries does not matter: their hashes are added up. */
static uint64_t look_into(struct server_watch *watch, const char *path, int depth) {
  uint64_t sum = 0;
  DIR *entries = opendir(path);
  if (!entries) return 0;
  watch_directory(watch, path);
  for (struct dirent *entry; (entry = readdir(entries));) {
    char full[PATH_BYTES];
    struct stat info;
    if (entry->d_name[0] == '.') continue;
    int len = snprintf(full, sizeof full, "%s/%s", path, entry->d_name);
    if (len >= (int)sizeof full || lstat(full, &info) != 0) continue;
    if (S_ISLNK(info.st_mode) && (stat(full, &info) != 0 || S_ISDIR(info.st_mode))) continue;
    bool is_aside = depth == 0 && strcmp(entry->d_name, "spec") == 0;
    bool is_public = depth == 0 && strcmp(entry->d_name, "public") == 0;
    if (S_ISDIR(info.st_mode) && is_public)
      sum += hash_text(full); /* whether it is there matters, its files are read when asked for */
    else if (S_ISDIR(info.st_mode) && !is_aside && depth < DEPTH_MAX)
      sum += look_into(watch, full, depth + 1);
    else if (S_ISREG(info.st_mode) && is_watched_file(entry->d_name))
      sum += hash_file(full, &info);
  }
  closedir(entries);
  return sum;
}

static uint64_t look(struct server_watch *watch) {
  watch->look_count++;
  uint64_t state = look_into(watch, watch->dir, 0);
  forget_gone(watch);
  return state;
}

static void on_timer(struct timer *timer) {
  struct server_watch *watch = container_of(timer, struct server_watch, timer);
  uint64_t state = look(watch);
  bool is_settled = state == watch->seen;
  watch->seen = state;
  look_in(watch, is_settled ? POLL_MS : SETTLE_MS);
  if (!is_settled || state == watch->known) return;
  watch->known = state;
  watch->changed(watch);
}

void server_watch_start(struct server_watch *watch, uv_loop_t *loop, struct timers *timers,
                        const char *dir) {
  watch->loop = loop;
  watch->timers = timers;
  watch->dir = dir;
  list_init(&watch->directories);
  watch->known = watch->seen = look(watch);
  look_in(watch, POLL_MS);
}

void server_watch_stop(struct server_watch *watch) {
  if (!watch->loop) return;
  timer_stop(watch->timers, &watch->timer);
  watch->look_count++;
  forget_gone(watch);
  watch->loop = NULL;
}
