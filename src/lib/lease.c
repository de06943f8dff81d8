/* lease.c - locks on directories, and what is done with those that nobody locks.
 *
 * Everything is done relative to an open directory that was checked, so that names cannot be
 * swapped for links meanwhile. Removing is best effort: the next sweep comes again. */
#include "lib/lease.h"

#include "base/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { NAME_DIGITS = 16 };

static const int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

int lease_take(const char *path) {
  struct stat info;
  int fd = open(path, directory_flags);
  if (fd < 0) return uv_translate_sys_error(errno);
  bool is_free = flock(fd, LOCK_EX | LOCK_NB) == 0;
  /* A sweep may have removed it before it was locked. */
  if (is_free && fstat(fd, &info) == 0 && info.st_nlink > 0) return fd;
  close(fd);
  return UV_EBUSY;
}

static bool has_name(const char *name, const char *prefix) {
  size_t prefix_len = strlen(prefix);
  return strncmp(name, prefix, prefix_len) == 0 && strlen(name) == prefix_len + NAME_DIGITS &&
         strspn(name + prefix_len, "0123456789abcdef") == NAME_DIGITS;
}

static bool is_private(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 && info.st_uid == geteuid() && (info.st_mode & 07777) == S_IRWXU;
}

/* The listing takes over a copy of the descriptor. */
static DIR *list(int fd) {
  int copy = openat(fd, ".", directory_flags);
  DIR *listing = copy < 0 ? NULL : fdopendir(copy);
  if (!listing && copy >= 0) close(copy);
  return listing;
}

static void remove_files(int fd) {
  DIR *listing = list(fd);
  if (!listing) return;
  for (struct dirent *entry; (entry = readdir(listing));)
    if (strspn(entry->d_name, "0123456789") == strlen(entry->d_name))
      (void)unlinkat(fd, entry->d_name, 0);
  closedir(listing);
}

static void sweep_directory(int parent, const char *name) {
  int fd = openat(parent, name, directory_flags);
  if (fd < 0) return;
  if (is_private(fd) && flock(fd, LOCK_EX | LOCK_NB) == 0) {
    remove_files(fd);
    (void)unlinkat(parent, name, AT_REMOVEDIR);
  }
  close(fd);
}

void lease_sweep(const char *parent, const char *prefix) {
  int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *listing = fd < 0 ? NULL : list(fd);
  if (listing) {
    for (struct dirent *entry; (entry = readdir(listing));)
      if (has_name(entry->d_name, prefix)) sweep_directory(fd, entry->d_name);
    closedir(listing);
  }
  if (fd >= 0) close(fd);
}
