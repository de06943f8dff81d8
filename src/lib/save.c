/* save.c - a new file beside the old one, renamed over it when it is complete.
 *
 * A hard link costs nothing for any size. It changes the mode of the linked file as well: callers
 * have theirs in a directory of their own. */
#include "lib/save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum {
  NEW_PATH_BYTES = 4096,
  COPY_BYTES_MAX = 1 << 30, /* of one system call */
  NEW_FILE_MODE = 0666      /* without the bits of the umask */
};

static uv_err last_error(void) {
  return uv_translate_sys_error(errno);
}

/* A name beside `to` that nobody has. */
static uv_err name_new(const char *to, char path[NEW_PATH_BYTES]) {
  uint64_t number;
  if (getrandom(&number, sizeof number, 0) < 0) return last_error();
  int len = snprintf(path, NEW_PATH_BYTES, "%s.%016llx.new", to, (unsigned long long)number);
  return len < NEW_PATH_BYTES ? 0 : UV_ENAMETOOLONG;
}

static uv_err write_bytes(int fd, struct slice bytes) {
  while (bytes.len > 0) {
    ssize_t written = write(fd, bytes.data, bytes.len);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return last_error();
    bytes.data += written;
    bytes.len -= (size_t)written;
  }
  return 0;
}

static uv_err copy_bytes(int fd, const char *from) {
  int source = open(from, O_RDONLY | O_CLOEXEC);
  if (source < 0) return last_error();
  ssize_t copied;
  do copied = sendfile(fd, source, NULL, COPY_BYTES_MAX);
  while (copied > 0 || (copied < 0 && errno == EINTR));
  uv_err error = copied < 0 ? last_error() : 0;
  close(source);
  return error;
}

/* Makes a file at `path` with the bytes, or those of the file `from`. */
static uv_err make_file(const char *path, struct slice bytes, const char *from) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, NEW_FILE_MODE);
  if (fd < 0) return last_error();
  uv_err error = from ? copy_bytes(fd, from) : write_bytes(fd, bytes);
  if (close(fd) != 0 && !error) error = last_error();
  if (error) (void)unlink(path);
  return error;
}

/* Renaming one name of a file to another name of it does nothing: so the name is removed too. */
static uv_err put(const char *path, const char *to) {
  uv_err error = rename(path, to) == 0 ? 0 : last_error();
  (void)unlink(path);
  return error;
}

uv_err save_bytes(struct slice bytes, const char *to) {
  char path[NEW_PATH_BYTES];
  uv_err error = name_new(to, path);
  if (!error) error = make_file(path, bytes, NULL);
  return error ? error : put(path, to);
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
    return last_error();
  }
  error = make_file(path, (struct slice){"", 0}, from);
  return error ? error : put(path, to);
}
