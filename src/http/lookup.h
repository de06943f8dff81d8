/* lookup.h - finding the file that a response is made of.
 *
 * Opens it, looks at it, chooses among its compressed siblings and reads a small one into memory.
 * All of that may wait for a disk, so it runs in a thread; what is in the kernel's caches may be
 * looked for on the loop (lookup_try). Knows nothing of requests and responses. */
#ifndef HTTP_LOOKUP_H
#define HTTP_LOOKUP_H

#include "base/base.h"
#include "base/buffer.h"
#include "http/encoding.h"

#include <stdbool.h>

/* The file that stands for its directory. */
#define LOOKUP_INDEX "index.html"

enum lookup_result {
  LOOKUP_FOUND,     /* a regular file, opened */
  LOOKUP_SLASH,     /* a directory that has an index */
  LOOKUP_NOTHING,   /* there is none that may be sent */
  LOOKUP_DIRECTORY, /* it is a directory, and no index is looked for */
  LOOKUP_SPECIAL,   /* a device, FIFO or socket */
  LOOKUP_FORBIDDEN, /* the process may not read it */
  LOOKUP_BUSY,      /* no descriptor or memory is left: later, perhaps */
  LOOKUP_FAILED     /* lookup.error */
};

struct lookup {
  /* asked for, set by the caller */
  struct buffer path;  /* terminated, the terminator counted; not empty */
  char *root;          /* a directory that the path stays beneath; or NULL: */
  int dir_fd;          /* the same, opened; -1: the path leads anywhere */
  bool is_local;       /* dir_fd: open_file_is_local */
  bool has_index;      /* whether a directory has one is looked for */
  bool has_siblings;   /* .br and .gz of it may be sent in its place */
  bool wants_contents; /* a small one is to be read */
  struct encoding_wishes wishes;

  /* found */
  int fd; /* -1: it is empty, or in `contents` */
  struct buffer contents;
  uint64_t size, inode, device;
  int64_t modified_seconds;
  uint32_t modified_ns;
  enum encoding encoding;
  bool varies; /* which one is sent depends on Accept-Encoding */
  int error;   /* a negative errno */
};

/* [any thread] A lookup of nothing yet. */
void lookup_init(struct lookup *lookup);

/* [any thread] Looks; may wait for the disk. */
enum lookup_result lookup_run(struct lookup *lookup);

/* [any thread] Looks without waiting, in a local directory; false when that cannot be: nothing is
 * found yet, and lookup_run may still be called. */
bool lookup_try(struct lookup *lookup, enum lookup_result *result);

/* [any thread] Reads all of a file that was found, whatever its size, into `contents`; may wait for
 * the disk. 0 or a negative errno; -EIO when it has become shorter. */
int lookup_read(struct lookup *lookup);

/* [any thread] Closes and frees; accepts a lookup that was only initialised, and twice. */
void lookup_finish(struct lookup *lookup);

#endif
