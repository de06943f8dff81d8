/* save.c - a new file beside the old one, renamed over it when it is complete.
 *
 * A hard link costs nothing for any size. It changes the mode of the linked file as well: callers
 * have theirs in a directory of their own. */
#include "lib/save.h"

#include "lib/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum {
  NEW_PATH_BYTES = 4096,
  NAME_BYTES_KEPT = 200, /* of the file's name in that of the new one: names end at 255 */
  NO_FILE = -1
};

/* Bytes of the path up to the last part of it. */
static size_t directory_len(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) + 1 : 0;
}

/* A name beside `to` that nobody has. */
static uv_err name_new(const char *to, char path[NEW_PATH_BYTES]) {
  uint64_t number;
  if (strlen(to) >= NEW_PATH_BYTES) return UV_ENAMETOOLONG;
  if (getrandom(&number, sizeof number, 0) < 0) return content_error();
  size_t kept = directory_len(to) + NAME_BYTES_KEPT;
  int len =
      snprintf(path, NEW_PATH_BYTES, "%.*s.%016llx.new", (int)kept, to, (unsigned long long)number);
  return len < NEW_PATH_BYTES ? 0 : UV_ENAMETOOLONG;
}

/* Fills the new file: with what `from` has, or with the bytes. */
static uv_err fill(const struct save *save, int fd, struct slice bytes, int from) {
  uv_err error = from == NO_FILE ? content_write(fd, CONTENT_HERE, bytes, save->stop, NULL)
                                 : content_copy(fd, from, save->stop);
  if (!error && save->is_exact && fchmod(fd, save->mode) != 0) error = content_error();
  if (!error && save->syncs && fsync(fd) != 0) error = content_error();
  return error;
}

/* Makes a file at `path`. */
static uv_err make_file(const struct save *save, const char *path, struct slice bytes, int from) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, save->mode);
  if (fd < 0) return content_error();
  uv_err error = fill(save, fd, bytes, from);
  if (close(fd) != 0 && !error) error = content_error();
  if (error) (void)unlink(path);
  return error;
}

/* Renaming one name of a file to another name of it does nothing: so the name is removed too. */
static uv_err put(const char *path, const char *to) {
  uv_err error = rename(path, to) == 0 ? 0 : content_error();
  (void)unlink(path);
  return error;
}

/* The new name is on the disk when its directory is. */
static uv_err sync_directory(const char *path) {
  char directory[NEW_PATH_BYTES];
  size_t len = directory_len(path);
  (void)snprintf(directory, sizeof directory, "%.*s", (int)len, path);
  int fd = open(len > 0 ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return content_error();
  uv_err error = fsync(fd) == 0 ? 0 : content_error();
  close(fd);
  return error;
}

static uv_err save_new(const struct save *save, struct slice bytes, int from) {
  char path[NEW_PATH_BYTES];
  uv_err error = name_new(save->to, path);
  if (!error) error = make_file(save, path, bytes, from);
  if (!error) error = put(path, save->to);
  return !error && save->syncs ? sync_directory(save->to) : error;
}

uv_err save_bytes(const struct save *save, struct slice bytes) {
  return save_new(save, bytes, NO_FILE);
}

uv_err save_copy(const struct save *save, int from) {
  return save_new(save, (struct slice){"", 0}, from);
}

static bool is_linkable(int error) {
  return error != EXDEV && error != EPERM && error != EOPNOTSUPP && error != EMLINK &&
         error != EACCES;
}

uv_err save_file(const char *from, const char *to, mode_t mode) {
  char path[NEW_PATH_BYTES];
  uv_err error = name_new(to, path);
  if (error) return error;
  if (link(from, path) == 0) {
    if (chmod(path, mode) == 0) return put(path, to);
    (void)unlink(path);
  } else if (is_linkable(errno)) {
    return content_error();
  }
  int fd = open(from, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return content_error();
  error = save_copy(&(struct save){.to = to, .mode = SAVE_FILE_MODE}, fd);
  close(fd);
  return error;
}
