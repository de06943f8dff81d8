/* save.h - a file put where it belongs, whole or not at all.
 *
 * What was there before is replaced in one step; nobody ever sees half of it. All of it blocks. */
#ifndef LIB_SAVE_H
#define LIB_SAVE_H

#include "base/base.h"

#include <sys/types.h>

/* [any thread] Makes `to` a file with these bytes. 0 or why not. */
uv_err save_bytes(struct slice bytes, const char *to);

/* [any thread] Makes `to` a file with what the file `from` has and the mode `mode`: the same file
 * by another name where one file system has both, else a copy. `from` stays. 0 or why not. */
uv_err save_file(const char *from, const char *to, mode_t mode);

#endif
