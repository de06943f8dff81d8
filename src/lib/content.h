/* content.h - bytes of files on their way: into memory, out of it, from one file to another.
 *
 * Everything blocks, and goes on after interrupted and partial system calls. Each function looks
 * at `stop` (may be NULL) now and then, and gives UV_ECANCELED once it is set. */
#ifndef LIB_CONTENT_H
#define LIB_CONTENT_H

#include "base/buffer.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Where the descriptor stands, in place of an offset. */
#define CONTENT_HERE (-1)

/* [any thread] The error of the system call that has just failed. */
uv_err content_error(void);

/* [any thread] Appends up to `count` bytes from `offset` on; fewer only at the end of the file. */
uv_err content_fill(int fd, int64_t offset, uint64_t count, const _Atomic(bool) *stop,
                    struct buffer *out);

/* [any thread] Reads a whole file; UV_EFBIG when it has more than `bytes_max`. The caller owns what
 * `out` has, also after an error. */
uv_err content_read(const char *path, uint64_t bytes_max, const _Atomic(bool) *stop,
                    struct buffer *out);

/* [any thread] Writes all bytes; `written` (may be NULL) counts those that were. */
uv_err content_write(int fd, int64_t offset, struct slice bytes, const _Atomic(bool) *stop,
                     size_t *written);

/* [any thread] Copies from where `from` stands to its end. */
uv_err content_copy(int fd, int from, const _Atomic(bool) *stop);

#endif
