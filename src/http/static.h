/* static.h - directories whose files are served without Lua, where there is no route.
 *
 * Mounts are made once per process and then only read by all workers. The longest prefix is tried
 * first; a file that it does not have may be in a shorter one. A path is percent-decoded once and
 * then taken segment by segment: nothing that is encoded can name another directory, and no name
 * that starts with a dot is served but .well-known (RFC 8615). */
#ifndef HTTP_STATIC_H
#define HTTP_STATIC_H

#include "base/base.h"
#include "base/buffer.h"

#include <stdbool.h>

struct exchange;
struct statics;

struct static_mount {
  struct slice prefix; /* "/assets": decoded, without a slash at its end; "" is everything */
  int dir_fd;          /* opened by open_file_directory */
  bool is_local;       /* set by static_add */
  struct slice block;  /* encoded fields for every answer with a file */
  bool has_dotfiles;   /* names that start with a dot are served too */
};

/* [owner] No mounts; the caller owns it. */
struct statics *static_create(void);

/* [any thread] Closes the directories and frees it; accepts NULL. */
void static_destroy(struct statics *statics);

/* [owner] Adds a mount, after those with the same prefix; the descriptor is taken over, the rest
 * copied. */
void static_add(struct statics *statics, const struct static_mount *mount);

/* [owner] Answers a request that has no route, if there may be a file for it: then it is answered
 * and released, now or later, by answer_unmatched when there is no file after all. */
bool static_serve(struct exchange *exchange);

/* [any thread] Puts the file's name for the raw path of a request, as a path beneath the mount's
 * directory, into `out` (cleared, terminated, the terminator counted). False when the mount cannot
 * have it. `has_slash` is set when it is the index of a directory. */
bool static_name(struct buffer *out, const struct static_mount *mount, struct slice path,
                 bool *has_slash);

#endif
