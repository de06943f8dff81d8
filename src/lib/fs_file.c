/* fs_file.c - the operations, on libuv's threads, and the bytes in between.
 *
 * Where a file can be read at any place the descriptor's own place is not used: so an operation
 * that fails half way, or is given up, moves nothing. */
#include "lib/fs_file.h"

#include "base/limits.h"
#include "lib/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { CLOSED = -1 };

struct slice fs_file_unread(const struct fs_file *file) {
  return (struct slice){file->ahead.data + file->begin, file->ahead.len - file->begin};
}

static void forget(struct fs_file *file) {
  buffer_clear(&file->ahead);
  file->begin = 0;
}

void fs_file_take(struct fs_file *file, size_t len) {
  file->begin += len;
  file->offset += len;
  if (file->begin < file->ahead.len) return;
  forget(file);
  if (file->ahead.cap > FS_BLOCK_BYTES) buffer_finish(&file->ahead);
}

void fs_file_move(struct fs_file *file, uint64_t offset) {
  bool is_there = offset >= file->offset && offset - file->offset <= fs_file_unread(file).len;
  if (is_there)
    file->begin += (size_t)(offset - file->offset);
  else
    forget(file);
  file->offset = offset;
}

/* ---- operations ---- */

static uv_err open_file(struct fs_file *file) {
  file->fd = open(file->path, file->flags, file->mode);
  if (file->fd < 0) return content_error();
  file->can_seek = lseek(file->fd, 0, SEEK_CUR) >= 0;
  return 0;
}

/* Makes what is not read yet the first in the buffer. */
static void move_to_front(struct fs_file *file) {
  struct slice unread = fs_file_unread(file);
  if (file->begin > 0) memmove(file->ahead.data, unread.data, unread.len);
  file->ahead.len = unread.len;
  file->begin = 0;
}

/* Reads up to so many bytes more; false at the end of the file. What cannot be read at once, of a
 * terminal, is not waited for. */
static bool read_more(struct fs_file *file, uint64_t count) {
  size_t before = file->ahead.len;
  int64_t offset = file->can_seek ? (int64_t)(file->offset + before) : CONTENT_HERE;
  file->error = content_fill(file->fd, offset, count, NULL, &file->ahead);
  if (file->error == UV_EAGAIN && file->ahead.len > before) file->error = 0;
  return !file->error && file->ahead.len - before == count;
}

static void read_count(struct fs_file *file) {
  if (file->ahead.len >= file->count) return;
  uint64_t missing = file->count - file->ahead.len;
  read_more(file, missing > FS_BLOCK_BYTES ? missing : FS_BLOCK_BYTES);
}

static void read_line(struct fs_file *file) {
  size_t seen = 0;
  bool has_more = true;
  while (has_more && file->ahead.len <= file->count) {
    has_more = read_more(file, FS_BLOCK_BYTES);
    if (file->ahead.len > seen &&
        memchr(file->ahead.data + seen, '\n', file->ahead.len - seen) != NULL)
      return;
    seen = file->ahead.len;
  }
  if (!file->error && file->ahead.len > file->count) file->error = UV_EFBIG;
}

/* What was read ahead is from where the file is written to, or from before it. */
static void write_out(struct fs_file *file) {
  struct slice bytes = {file->out.data, file->out.len};
  bool is_placed = file->can_seek && (file->flags & O_APPEND) == 0;
  size_t written = 0;
  if (file->can_seek) forget(file);
  int64_t offset = is_placed ? (int64_t)file->offset : CONTENT_HERE;
  file->error = content_write(file->fd, offset, bytes, NULL, &written);
  if (is_placed)
    file->offset += written;
  else if (file->can_seek)
    file->offset = (uint64_t)lseek(file->fd, 0, SEEK_CUR);
  buffer_finish(&file->out);
}

static uv_err find_size(struct fs_file *file) {
  struct stat info;
  if (fstat(file->fd, &info) != 0) return content_error();
  file->count = (uint64_t)info.st_size;
  return 0;
}

static uv_err truncate_file(struct fs_file *file) {
  forget(file);
  return ftruncate(file->fd, (off_t)file->count) == 0 ? 0 : content_error();
}

static uv_err close_file(struct fs_file *file) {
  int fd = file->fd;
  file->fd = CLOSED;
  if (fd == CLOSED) return 0;
  if (file->is_temporary) (void)unlink(file->path);
  return close(fd) == 0 ? 0 : content_error();
}

static void run(struct offload *offload) {
  struct fs_file *file = container_of(offload, struct fs_file, offload);
  file->error = 0;
  switch (file->operation) {
  case FS_OPEN:
    file->error = open_file(file);
    break;
  case FS_READ:
    move_to_front(file);
    if (file->is_line)
      read_line(file);
    else
      read_count(file);
    break;
  case FS_WRITE:
    write_out(file);
    break;
  case FS_SIZE:
    file->error = find_size(file);
    break;
  case FS_TRUNCATE:
    file->error = truncate_file(file);
    break;
  case FS_SYNC:
    file->error = fsync(file->fd) == 0 ? 0 : content_error();
    break;
  case FS_CLOSE:
    file->error = close_file(file);
    break;
  }
}

static void destroy(struct offload *offload) {
  struct fs_file *file = container_of(offload, struct fs_file, offload);
  (void)close_file(file);
  buffer_finish(&file->ahead);
  buffer_finish(&file->out);
  free(file->path);
  free(file);
}

struct fs_file *fs_file_create(const char *path, int flags, mode_t mode) {
  struct fs_file *file = memory_alloc_zero(sizeof *file);
  offload_init(&file->offload, run, destroy);
  file->path = memory_copy(path, strlen(path));
  file->flags = flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  file->mode = mode;
  file->fd = CLOSED;
  return file;
}
