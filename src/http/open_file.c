/* open_file.c - openat2(2) by system call, and the walk where there is none.
 *
 * Does not look at what it opens, and keeps nothing open but what it gives. */
#include "http/open_file.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
  READ_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
  DIRECTORY_FLAGS = O_PATH | O_DIRECTORY | O_CLOEXEC
};

static open_file_fd open_at(int dir_fd, const char *path, int flags, uint64_t resolve) {
  struct open_how how = {.flags = (unsigned)flags, .resolve = resolve};
  long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
  return fd < 0 ? -errno : (open_file_fd)fd;
}

/* Old kernels do not know it; sandboxes that do not know it say EPERM. */
static bool is_unknown_call(open_file_fd fd) {
  return fd == -ENOSYS || fd == -EPERM;
}

static open_file_fd open_by_path(const char *path, int flags) {
  int fd = open(path, flags);
  return fd < 0 ? -errno : fd;
}

open_file_fd open_file_anywhere(const char *path) {
  return open_by_path(path, READ_FLAGS);
}

open_file_fd open_file_directory(const char *path) {
  return open_by_path(path, DIRECTORY_FLAGS);
}

static const uint64_t beneath = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;

open_file_fd open_file_beneath(int dir_fd, const char *path) {
  open_file_fd fd = open_at(dir_fd, path, READ_FLAGS, beneath);
  /* A directory was renamed while ".." in a symbolic link was followed. */
  for (int i = 0; i < OPEN_TRIES_MAX && fd == -EAGAIN; i++)
    fd = open_at(dir_fd, path, READ_FLAGS, beneath);
  return is_unknown_call(fd) ? open_file_walk(dir_fd, path) : fd;
}

/* Another file system may be mounted below: -EXDEV, as for what leads out; only the one that may
 * wait can tell which. -EINVAL: a kernel before Linux 5.12. */
open_file_fd open_file_cached(int dir_fd, const char *path) {
  open_file_fd fd = open_at(dir_fd, path, READ_FLAGS, beneath | RESOLVE_CACHED | RESOLVE_NO_XDEV);
  return is_unknown_call(fd) || fd == -EINVAL || fd == -EXDEV ? -EAGAIN : fd;
}

bool open_file_is_local(int dir_fd) {
  static const unsigned long local[] = {EXT4_SUPER_MAGIC,     XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                        F2FS_SUPER_MAGIC,     TMPFS_MAGIC,     RAMFS_MAGIC,
                                        OVERLAYFS_SUPER_MAGIC};
  struct statfs facts;
  if (fstatfs(dir_fd, &facts) != 0) return false;
  for (size_t i = 0; i < array_len(local); i++)
    if ((unsigned long)facts.f_type == local[i]) return true;
  return false;
}

static bool is_parent(const char *part) {
  return strcmp(part, "..") == 0;
}

open_file_fd open_file_walk(int dir_fd, const char *path) {
  size_t len = strlen(path);
  if (path[0] == '/') return -EXDEV;
  char *parts = memory_copy(path, len);
  open_file_fd at = dir_fd;
  char *part = parts;
  for (char *slash; at >= 0 && (slash = strchr(part, '/')); part = slash + 1) {
    *slash = '\0';
    if (part == slash) continue;
    int next = is_parent(part) ? -EXDEV : openat(at, part, DIRECTORY_FLAGS | O_NOFOLLOW);
    if (next == -1) next = -errno;
    if (at != dir_fd) close(at);
    at = next;
  }
  open_file_fd fd = at;
  if (at >= 0) {
    fd = is_parent(part) ? -EXDEV : openat(at, *part ? part : ".", READ_FLAGS | O_NOFOLLOW);
    if (fd == -1) fd = -errno;
    if (at != dir_fd) close(at);
  }
  free(parts);
  return fd;
}
