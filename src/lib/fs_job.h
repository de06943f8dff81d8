/* fs_job.h - one operation on files: what it needs, what it gives, and the code that does it.
 *
 * The code runs on one of libuv's threads and sees nothing but the job (lib/work.h). */
#ifndef LIB_FS_JOB_H
#define LIB_FS_JOB_H

#include "base/buffer.h"
#include "lib/work.h"

#include <sys/stat.h>

/* In place of a mode that nobody has named. */
#define FS_JOB_NO_MODE ((mode_t)-1)

struct fs_job {
  struct work work;
  uv_err (*run)(struct fs_job *job);
  char *path, *to;     /* absolute; `to` may be NULL */
  struct buffer bytes; /* to write; what was read; names, each terminated */
  uint64_t bytes_max;
  size_t count;      /* of names */
  mode_t mode;       /* FS_JOB_NO_MODE: the default */
  int type;          /* of names: enum tree_type, or any */
  bool is_recursive; /* or with parents */
  bool is_atomic, syncs, follows, missing_ok;
  struct stat info;
  uv_err error; /* what `run` gave */
};

/* [owner] Pushes the box of a job (lib/work.h) and gives the job; the paths are copied. */
struct fs_job *fs_job_push(lua_State *L, uv_err (*run)(struct fs_job *job), const char *path,
                           const char *to);

/* [any thread] What jobs run. */
uv_err fs_job_read(struct fs_job *job);
uv_err fs_job_write(struct fs_job *job);
uv_err fs_job_append(struct fs_job *job);
uv_err fs_job_copy(struct fs_job *job);
uv_err fs_job_stat(struct fs_job *job);
uv_err fs_job_list(struct fs_job *job);
uv_err fs_job_make_directory(struct fs_job *job);
uv_err fs_job_remove(struct fs_job *job);
uv_err fs_job_rename(struct fs_job *job);

#endif
