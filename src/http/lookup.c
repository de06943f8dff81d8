/* lookup.c - open, fstat, siblings, read.
 *
 * A sibling is sent in place of a file when it is a regular file no older than it: a stale one
 * would show what the file was before. Every step can be told not to wait (only_cached); the first
 * that would have to ends the attempt. */
#include "http/lookup.h"

#include "base/limits.h"
#include "http/media_type.h"
#include "http/open_file.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* One attempt. */
struct attempt {
  struct lookup *lookup;
  bool only_cached;
  int dir_fd; /* -1: anywhere */
};

struct sibling {
  enum encoding encoding;
  const char *extension;
};

static const struct sibling siblings[] = {{ENCODING_BROTLI, ".br"}, {ENCODING_GZIP, ".gz"}};

void lookup_init(struct lookup *lookup) {
  *lookup = (struct lookup){.dir_fd = -1, .fd = -1};
  encoding_start(&lookup->wishes);
}

static void close_file(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

void lookup_finish(struct lookup *lookup) {
  close_file(&lookup->fd);
  buffer_finish(&lookup->path);
  buffer_finish(&lookup->contents);
  free(lookup->root);
  lookup->root = NULL;
}

/* ---- opening ---- */

static enum lookup_result result_of(int error) {
  switch (error) {
  case -ENOENT:
  case -ENOTDIR:
  case -ELOOP:
  case -EXDEV:
  case -ENAMETOOLONG:
  case -EINVAL:
    return LOOKUP_NOTHING;
  case -ENXIO: /* a socket, or a device without a driver */
  case -ENODEV:
    return LOOKUP_SPECIAL;
  case -EACCES:
  case -EPERM:
    return LOOKUP_FORBIDDEN;
  case -EMFILE:
  case -ENFILE:
  case -ENOMEM:
    return LOOKUP_BUSY;
  }
  return LOOKUP_FAILED;
}

static int open_path(const struct attempt *attempt, const char *path) {
  if (attempt->dir_fd < 0) return open_file_anywhere(path);
  if (attempt->only_cached) return open_file_cached(attempt->dir_fd, path);
  return open_file_beneath(attempt->dir_fd, path);
}

/* Opens the path with `more` behind it and looks at it. */
static int open_and_look(const struct attempt *attempt, const char *more, struct stat *out) {
  struct buffer *path = &attempt->lookup->path;
  size_t len = path->len;
  assert(len > 0 && path->data[len - 1] == '\0');
  path->len--;
  buffer_add(path, more, strlen(more) + 1);
  int fd = open_path(attempt, path->data);
  path->len = len;
  path->data[len - 1] = '\0';
  if (fd < 0 || fstat(fd, out) == 0) return fd;
  int error = -errno;
  close(fd);
  return error;
}

/* ---- siblings ---- */

static bool is_older(const struct stat *a, const struct stat *b) {
  if (a->st_mtim.tv_sec != b->st_mtim.tv_sec) return a->st_mtim.tv_sec < b->st_mtim.tv_sec;
  return a->st_mtim.tv_nsec < b->st_mtim.tv_nsec;
}

/* Puts the best of the file's codings in its place. False: it would have to wait. */
static bool choose_sibling(struct attempt *attempt, struct stat *file) {
  struct lookup *lookup = attempt->lookup;
  int fds[ENCODING_COUNT] = {-1, -1, -1};
  struct stat stats[ENCODING_COUNT];
  unsigned available = 0;
  bool waits = false;
  for (size_t i = 0; i < array_len(siblings) && !waits; i++) {
    enum encoding encoding = siblings[i].encoding;
    fds[encoding] = open_and_look(attempt, siblings[i].extension, &stats[encoding]);
    waits = fds[encoding] == -EAGAIN && attempt->only_cached;
    if (fds[encoding] < 0 || !S_ISREG(stats[encoding].st_mode) || is_older(&stats[encoding], file))
      continue;
    available |= encoding_bit(encoding);
  }
  if (!waits) {
    lookup->varies = available != 0;
    lookup->encoding = encoding_choose(&lookup->wishes, available);
    if (lookup->encoding != ENCODING_IDENTITY) {
      close_file(&lookup->fd);
      lookup->fd = fds[lookup->encoding];
      fds[lookup->encoding] = -1;
      *file = stats[lookup->encoding];
    }
  }
  for (size_t i = 0; i < ENCODING_COUNT; i++) close_file(&fds[i]);
  return !waits;
}

/* ---- contents ---- */

static ssize_t read_some(const struct attempt *attempt, char *out, size_t len, off_t at) {
  struct iovec piece = {.iov_base = out, .iov_len = len};
  ssize_t got;
  do got = preadv2(attempt->lookup->fd, &piece, 1, at, attempt->only_cached ? RWF_NOWAIT : 0);
  while (got < 0 && errno == EINTR);
  return got;
}

/* Reads all of a small file: 0 or a negative errno. One that shrinks meanwhile is an error: its
 * size and entity tag would be wrong. */
static int read_contents(const struct attempt *attempt, uint64_t size) {
  struct lookup *lookup = attempt->lookup;
  struct buffer *contents = &lookup->contents;
  buffer_clear(contents);
  while (contents->len < size) {
    size_t left = (size_t)size - contents->len;
    ssize_t got = read_some(attempt, buffer_reserve(contents, left), left, (off_t)contents->len);
    if (got > 0) {
      contents->len += (size_t)got;
    } else if (got == 0) {
      return attempt->only_cached ? -EAGAIN : -EIO;
    } else {
      bool may_wait = errno == EAGAIN || errno == EOPNOTSUPP;
      return may_wait && attempt->only_cached ? -EAGAIN : -errno;
    }
  }
  close_file(&lookup->fd);
  return 0;
}

/* ---- the whole ---- */

static enum lookup_result fail(struct lookup *lookup, int error) {
  close_file(&lookup->fd);
  lookup->error = error;
  return result_of(error);
}

static enum lookup_result take_file(struct attempt *attempt, struct stat *file) {
  struct lookup *lookup = attempt->lookup;
  struct slice name = {lookup->path.data, lookup->path.len - 1};
  bool has_siblings = lookup->has_siblings && !media_type_find(name)->is_packed;
  if (has_siblings && !choose_sibling(attempt, file)) return fail(lookup, -EAGAIN);
  lookup->size = (uint64_t)file->st_size;
  lookup->inode = (uint64_t)file->st_ino;
  lookup->device = (uint64_t)file->st_dev;
  lookup->modified_seconds = file->st_mtim.tv_sec;
  lookup->modified_ns = (uint32_t)file->st_mtim.tv_nsec;
  bool is_read = lookup->wants_contents && lookup->size <= FILE_MEMORY_BYTES_MAX;
  int error = is_read ? read_contents(attempt, lookup->size) : 0;
  return error ? fail(lookup, error) : LOOKUP_FOUND;
}

/* What was opened is a directory. */
static enum lookup_result take_directory(struct attempt *attempt) {
  struct lookup *lookup = attempt->lookup;
  struct stat index;
  close_file(&lookup->fd);
  if (!lookup->has_index) return LOOKUP_DIRECTORY;
  int fd = open_and_look(attempt, "/" LOOKUP_INDEX, &index);
  if (fd < 0) return fail(lookup, fd);
  close(fd);
  return S_ISREG(index.st_mode) ? LOOKUP_SLASH : LOOKUP_NOTHING;
}

static enum lookup_result look_beneath(struct attempt *attempt) {
  struct lookup *lookup = attempt->lookup;
  struct stat file;
  lookup->fd = open_and_look(attempt, "", &file);
  if (lookup->fd < 0) return fail(lookup, lookup->fd);
  if (S_ISREG(file.st_mode)) return take_file(attempt, &file);
  if (S_ISDIR(file.st_mode)) return take_directory(attempt);
  close_file(&lookup->fd);
  return LOOKUP_SPECIAL;
}

static enum lookup_result look(struct lookup *lookup, bool only_cached) {
  struct attempt attempt = {lookup, only_cached, lookup->dir_fd};
  lookup->error = 0;
  if (lookup->root) {
    attempt.dir_fd = open_file_directory(lookup->root);
    if (attempt.dir_fd < 0) return fail(lookup, attempt.dir_fd);
  }
  enum lookup_result result = look_beneath(&attempt);
  if (lookup->root) close(attempt.dir_fd);
  return result;
}

enum lookup_result lookup_run(struct lookup *lookup) {
  return look(lookup, false);
}

bool lookup_try(struct lookup *lookup, enum lookup_result *result) {
  if (!lookup->is_local) return false;
  *result = look(lookup, true);
  return lookup->error != -EAGAIN;
}

int lookup_read(struct lookup *lookup) {
  const struct attempt attempt = {lookup, false, -1};
  bool is_there = lookup->fd < 0;
  return is_there ? 0 : read_contents(&attempt, lookup->size);
}
