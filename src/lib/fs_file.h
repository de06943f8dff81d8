/* fs_file.h - an open file: its descriptor, where it stands, and what was read ahead.
 *
 * One operation at a time runs on libuv's threads (core/offload.h), and then owns the struct. An
 * operation that nobody waits for any more ends as any other: what it read is there for the next
 * one, what it wrote is written. */
#ifndef LIB_FS_FILE_H
#define LIB_FS_FILE_H

#include "base/buffer.h"
#include "core/offload.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum fs_operation {
  FS_OPEN,
  FS_READ, /* until `count` bytes are there, or a line, or the end */
  FS_WRITE,
  FS_SIZE,
  FS_TRUNCATE, /* to `count` bytes */
  FS_SYNC,
  FS_CLOSE
};

struct fs_file {
  struct offload offload;
  enum fs_operation operation;
  uv_err error; /* of the last operation */

  char *path; /* absolute, owned */
  int flags;  /* of open() */
  mode_t mode;
  bool is_temporary; /* removed when it is closed */
  int fd;            /* -1: not open */
  bool can_seek;

  uint64_t offset; /* where the next byte is read or written */
  struct buffer ahead;
  size_t begin; /* of what is not read yet in `ahead`: the bytes from `offset` on */

  uint64_t count; /* for an operation; or the size of the file */
  bool is_line;   /* FS_READ: until the end of a line, of `count` bytes at most */
  struct buffer out;
};

/* [owner] A file that is not open; the path is copied. The caller drops its offload. */
struct fs_file *fs_file_create(const char *path, int flags, mode_t mode);

/* [owner] What is there to be read. */
struct slice fs_file_unread(const struct fs_file *file);

/* [owner] Takes bytes of what is there. */
void fs_file_take(struct fs_file *file, size_t len);

/* [owner] Moves to another place. */
void fs_file_move(struct fs_file *file, uint64_t offset);

#endif
