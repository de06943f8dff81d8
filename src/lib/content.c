/* content.c - reading, writing and copying in steps.
 *
 * How much there is to read is known from the start for most files, and for none of those that the
 * kernel makes up: the size is a hint. Memory grows with what has come. */
#include "lib/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum {
  STEP_BYTES = 8 << 20,      /* of one system call */
  BLOCK_BYTES = 64 << 10,    /* first read of a file whose size says nothing */
  COPY_STEP_BYTES = 64 << 20 /* of one copy_file_range */
};

uv_err content_error(void) {
  return uv_translate_sys_error(errno);
}

static bool is_stopped(const _Atomic(bool) *stop) {
  return stop && atomic_load_explicit(stop, memory_order_relaxed);
}

static uint64_t smaller(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/* As buffer_reserve, for sizes that a file or a user chooses: may fail. */
static bool reserve(struct buffer *buffer, uint64_t extra) {
  uint64_t needed = buffer->len + extra, doubled = 2 * (uint64_t)buffer->cap;
  if (needed <= buffer->cap) return true;
  size_t cap = (size_t)(needed > doubled ? needed : doubled);
  char *data = cap >= needed ? realloc(buffer->data, cap) : NULL;
  if (!data) return false;
  buffer->data = data;
  buffer->cap = cap;
  return true;
}

uv_err content_fill(int fd, int64_t offset, uint64_t count, const _Atomic(bool) *stop,
                    struct buffer *out) {
  while (count > 0) {
    if (is_stopped(stop)) return UV_ECANCELED;
    size_t room = out->cap - out->len;
    if (room == 0 && !reserve(out, smaller(count, BLOCK_BYTES))) return UV_ENOMEM;
    size_t step = (size_t)smaller(smaller(count, STEP_BYTES), out->cap - out->len);
    char *end = out->data + out->len;
    ssize_t got = offset < 0 ? read(fd, end, step) : pread(fd, end, step, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return content_error();
    if (got == 0) return 0;
    out->len += (size_t)got;
    count -= (uint64_t)got;
    if (offset >= 0) offset += got;
  }
  return 0;
}

/* One byte more than the file has shows its end without memory for a further block. */
static uv_err read_all(int fd, uint64_t bytes_max, const _Atomic(bool) *stop, struct buffer *out) {
  struct stat info;
  if (fstat(fd, &info) != 0) return content_error();
  uint64_t size = S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
  if (size > bytes_max) return UV_EFBIG;
  if (!reserve(out, size + 1)) return UV_ENOMEM;
  uv_err error = content_fill(fd, CONTENT_HERE, bytes_max, stop, out);
  if (error || out->len < bytes_max) return error;
  error = content_fill(fd, CONTENT_HERE, 1, stop, out);
  return !error && out->len > bytes_max ? UV_EFBIG : error;
}

uv_err content_read(const char *path, uint64_t bytes_max, const _Atomic(bool) *stop,
                    struct buffer *out) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return content_error();
  uv_err error = read_all(fd, bytes_max, stop, out);
  close(fd);
  return error;
}

uv_err content_write(int fd, int64_t offset, struct slice bytes, const _Atomic(bool) *stop,
                     size_t *written) {
  size_t done = 0;
  uv_err error = 0;
  while (done < bytes.len && !error) {
    if (is_stopped(stop)) {
      error = UV_ECANCELED;
      break;
    }
    const char *data = bytes.data + done;
    size_t step = (size_t)smaller(bytes.len - done, STEP_BYTES);
    ssize_t put =
        offset < 0 ? write(fd, data, step) : pwrite(fd, data, step, offset + (int64_t)done);
    if (put >= 0)
      done += (size_t)put;
    else if (errno != EINTR)
      error = content_error();
  }
  if (written) *written = done;
  return error;
}

/* Reads and writes, where the kernel cannot copy by itself. */
static uv_err copy_blocks(int fd, int from, const _Atomic(bool) *stop) {
  struct buffer block = {0};
  uv_err error;
  do {
    buffer_clear(&block);
    error = content_fill(from, CONTENT_HERE, BLOCK_BYTES, stop, &block);
    if (!error)
      error = content_write(fd, CONTENT_HERE, (struct slice){block.data, block.len}, stop, NULL);
  } while (!error && block.len > 0);
  buffer_finish(&block);
  return error;
}

/* Files that the kernel makes up (/proc) have nothing for copy_file_range, other file systems
 * refuse it: what is left is read, and an error that stays comes from there. */
uv_err content_copy(int fd, int from, const _Atomic(bool) *stop) {
  ssize_t copied;
  do {
    if (is_stopped(stop)) return UV_ECANCELED;
    copied = copy_file_range(from, NULL, fd, NULL, COPY_STEP_BYTES, 0);
  } while (copied > 0 || (copied < 0 && errno == EINTR));
  return copy_blocks(fd, from, stop);
}
