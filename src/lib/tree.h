/* tree.h - directories: what is in them, making them, removing them with all they have.
 *
 * Everything blocks. Links are entries like others: no function follows one, but the path that it
 * is given may lead through some. */
#ifndef LIB_TREE_H
#define LIB_TREE_H

#include "base/buffer.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

/* What a name in a directory is. */
enum tree_type { TREE_FILE, TREE_DIRECTORY, TREE_LINK, TREE_OTHER };

/* In place of a type: any of them. */
enum { TREE_ANY = -1 };

struct tree_entry {
  const char *path; /* from the root of the walk on; borrowed until the next one */
  enum tree_type type;
};

/* The entries of a directory one by one, in no order; those of a directory come after itself.
 * Zeroed but for these: */
struct tree_walk {
  char *root; /* owned */
  bool is_recursive;

  /* From here on for tree.c only. */
  DIR *_directory;      /* that is being read */
  struct buffer _path;  /* of the entry; begins with that directory's */
  size_t _prefix_len;   /* bytes of it that are the directory's */
  struct buffer _ahead; /* paths of directories that are still to be read, each terminated */
  bool _is_begun;
};

/* [any thread] The next entry; its path is NULL behind the last. After an error there is none. A
 * directory below the root that is gone meanwhile is passed over. */
uv_err tree_walk_next(struct tree_walk *walk, struct tree_entry *entry);

/* [any thread] Frees all it has; accepts a zeroed walk, and twice. */
void tree_walk_finish(struct tree_walk *walk);

/* [any thread] The type in a mode. */
enum tree_type tree_type_of(mode_t mode);

/* [any thread] Makes a directory and those above it that are missing; one that is there is no
 * error. */
uv_err tree_make(const char *path, mode_t mode);

/* [any thread] Removes a file, a link, or a directory with all that is in it. UV_ENAMETOOLONG when
 * directories are nested deeper than FS_DEPTH_MAX. */
uv_err tree_remove(const char *path, const _Atomic(bool) *stop);

#endif
