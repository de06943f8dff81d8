/* spool.h - the temporary files of requests: made while they are open, removed when they close.
 *
 * One for the process, in a directory of its own below $TMPDIR (else /tmp) that only its user can
 * read. A request is opened on its HTTP worker; from then on any thread may make files for it,
 * until it closes. Whatever is left is removed
 * with the process; after a kill -9 by the next one that makes a file. */
#ifndef LIB_SPOOL_H
#define LIB_SPOOL_H

#include "base/base.h"

#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

enum { SPOOL_PATH_BYTES = 4096 };

struct spool;

/* [owner] Names the directory; it is made with its first file. To be called while the process has
 * one thread. Must outlive all workers. */
struct spool *spool_create(void);

/* [owner] Removes all files and the directory. Accepts NULL. */
void spool_destroy(struct spool *spool);

/* [any thread] Lets files be made for the request of this id; it may be open already. */
void spool_open(struct spool *spool, uint64_t request);

/* [any thread] Makes a file for a request: its descriptor, which the caller closes, and its path. A
 * negative error when it cannot be made, UV_ECANCELED when the request is not open. Blocks. */
int spool_make_file(struct spool *spool, uint64_t request, char path[SPOOL_PATH_BYTES]);

/* [any thread] Ends a request: no file is made for it any more, and libuv's threads remove those
 * that there are. The loop belongs to the caller's thread. */
void spool_close(struct spool *spool, uint64_t request, uv_loop_t *loop);

/* [any thread] The mode of files that others may see: what the umask of the start leaves. */
mode_t spool_file_mode(const struct spool *spool);

/* [any thread] Removes everything at once: the process is about to end whatever still runs. */
void spool_clear(struct spool *spool);

#endif
