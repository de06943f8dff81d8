/* tree.c - walking, making and removing.
 *
 * A walk has one directory open at a time, however deep the tree is. A removal has one for each
 * level: only relative to an open directory is it sure that nothing outside of the tree is meant,
 * whatever others rename meanwhile. */
#include "lib/tree.h"

#include "base/limits.h"
#include "lib/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

static const int directory_flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

enum tree_type tree_type_of(mode_t mode) {
  if (S_ISREG(mode)) return TREE_FILE;
  if (S_ISDIR(mode)) return TREE_DIRECTORY;
  return S_ISLNK(mode) ? TREE_LINK : TREE_OTHER;
}

static bool is_self_or_parent(const char *name) {
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The directory behind a descriptor, which is closed when that fails; NULL: errno says why. */
static DIR *open_listing(int fd) {
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  if (!directory && fd >= 0) close(fd);
  return directory;
}

/* The next name but . and ..; NULL at the end, or when errno is not 0. */
static struct dirent *read_name(DIR *directory) {
  struct dirent *found;
  do {
    errno = 0;
    found = readdir(directory);
  } while (found && is_self_or_parent(found->d_name));
  return found;
}

/* ---- walking ---- */

static enum tree_type find_type(DIR *directory, const struct dirent *found) {
  struct stat info;
  if (found->d_type != DT_UNKNOWN) return tree_type_of(DTTOIF((mode_t)found->d_type));
  if (fstatat(dirfd(directory), found->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) return TREE_OTHER;
  return tree_type_of(info.st_mode);
}

/* Opens a directory of the tree: the path from the root on, empty for the root itself. */
static uv_err open_directory(struct tree_walk *walk, const char *path) {
  struct buffer whole = {0};
  buffer_add_text(&whole, walk->root);
  buffer_add_byte(&whole, '/');
  buffer_add(&whole, path, strlen(path) + 1);
  int flags = *path ? directory_flags | O_NOFOLLOW : directory_flags;
  walk->_directory = open_listing(open(whole.data, flags));
  uv_err error = walk->_directory ? 0 : content_error();
  buffer_finish(&whole);
  buffer_clear(&walk->_path);
  buffer_add_text(&walk->_path, path);
  if (*path) buffer_add_byte(&walk->_path, '/');
  walk->_prefix_len = walk->_path.len;
  return error;
}

/* Where the last of the terminated paths begins. */
static const char *last_path(const struct buffer *paths) {
  const char *at = paths->data + paths->len - 1;
  while (at > paths->data && at[-1] != '\0') at--;
  return at;
}

/* Opens the next directory that is still there; none is open when there is no more. */
static uv_err open_next(struct tree_walk *walk) {
  while (walk->_ahead.len > 0 && !walk->_directory) {
    const char *path = last_path(&walk->_ahead);
    walk->_ahead.len = (size_t)(path - walk->_ahead.data);
    uv_err error = open_directory(walk, path);
    if (error && error != UV_ENOENT && error != UV_ENOTDIR && error != UV_ELOOP) return error;
  }
  return 0;
}

static void take(struct tree_walk *walk, const struct dirent *found, struct tree_entry *entry) {
  walk->_path.len = walk->_prefix_len;
  buffer_add(&walk->_path, found->d_name, strlen(found->d_name) + 1);
  entry->path = walk->_path.data;
  entry->type = find_type(walk->_directory, found);
  if (walk->is_recursive && entry->type == TREE_DIRECTORY)
    buffer_add(&walk->_ahead, walk->_path.data, walk->_path.len);
}

uv_err tree_walk_next(struct tree_walk *walk, struct tree_entry *entry) {
  uv_err error = 0;
  entry->path = NULL;
  if (!walk->_is_begun) error = open_directory(walk, "");
  walk->_is_begun = true;
  while (!error && walk->_directory) {
    struct dirent *found = read_name(walk->_directory);
    if (found) {
      take(walk, found, entry);
      return 0;
    }
    if (errno != 0) error = content_error();
    closedir(walk->_directory);
    walk->_directory = NULL;
    if (!error) error = open_next(walk);
  }
  return error;
}

void tree_walk_finish(struct tree_walk *walk) {
  if (walk->_directory) closedir(walk->_directory);
  buffer_finish(&walk->_path);
  buffer_finish(&walk->_ahead);
  free(walk->root);
  *walk = (struct tree_walk){0};
}

/* ---- making ---- */

static uv_err make_one(const char *path, mode_t mode) {
  struct stat info;
  if (mkdir(path, mode) == 0) return 0;
  uv_err error = content_error();
  bool is_there = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
  return is_there ? 0 : error;
}

uv_err tree_make(const char *path, mode_t mode) {
  char *part = memory_copy(path, strlen(path));
  uv_err error = 0;
  for (char *at = part + 1; *part && *at && !error; at++) {
    if (*at != '/' || at[-1] == '/') continue;
    *at = '\0';
    error = make_one(part, S_IRWXU | S_IRWXG | S_IRWXO);
    if (error == UV_EEXIST) error = UV_ENOTDIR;
    *at = '/';
  }
  if (!error) error = make_one(path, mode);
  free(part);
  return error;
}

/* ---- removing ---- */

static uv_err remove_at(int parent, const char *name, int depth, const _Atomic(bool) *stop);

static uv_err remove_content(DIR *directory, int depth, const _Atomic(bool) *stop) {
  struct dirent *found;
  uv_err error = 0;
  while (!error && (found = read_name(directory))) {
    if (stop && atomic_load(stop)) return UV_ECANCELED;
    error = remove_at(dirfd(directory), found->d_name, depth + 1, stop);
    if (error == UV_ENOENT) error = 0;
  }
  return !error && errno != 0 ? content_error() : error;
}

/* Removes what is no directory at once, which also tells what it is. */
static uv_err remove_at(int parent, const char *name, int depth, const _Atomic(bool) *stop) {
  if (unlinkat(parent, name, 0) == 0) return 0;
  if (errno != EISDIR && errno != EPERM) return content_error();
  uv_err error = content_error();
  if (depth > FS_DEPTH_MAX) return UV_ENAMETOOLONG;
  DIR *directory = open_listing(openat(parent, name, directory_flags | O_NOFOLLOW));
  if (!directory) return errno == ENOTDIR || errno == ELOOP ? error : content_error();
  error = remove_content(directory, depth, stop);
  closedir(directory);
  if (!error && unlinkat(parent, name, AT_REMOVEDIR) != 0) error = content_error();
  return error;
}

uv_err tree_remove(const char *path, const _Atomic(bool) *stop) {
  return remove_at(AT_FDCWD, path, 0, stop);
}
