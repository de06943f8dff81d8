/* save.h - a file put where it belongs, whole or not at all.
 *
 * What was there before is replaced in one step; nobody ever sees half of it. All of it blocks. */
#ifndef LIB_SAVE_H
#define LIB_SAVE_H

#include "base/base.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

/* The mode of files that others may see: the umask takes from it. */
enum { SAVE_FILE_MODE = 0666 };

struct save {
  const char *to; /* replaced if it is there, also when it is a link */
  mode_t mode;    /* of a new file; the umask takes from it, unless is_exact */
  bool is_exact;
  bool syncs;                /* it is on the disk when it is there */
  const _Atomic(bool) *stop; /* content.h; may be NULL */
};

/* [any thread] Makes a file with these bytes. 0 or why not. */
uv_err save_bytes(const struct save *save, struct slice bytes);

/* [any thread] Makes a file with all that comes from where the descriptor `from` stands. 0 or why
 * not. */
uv_err save_copy(const struct save *save, int from);

/* [any thread] Makes `to` a file with what the file `from` has and the mode `mode`: the same file
 * by another name where one file system has both, else a copy. `from` stays. 0 or why not. */
uv_err save_file(const char *from, const char *to, mode_t mode);

#endif
