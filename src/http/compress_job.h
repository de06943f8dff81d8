/* compress_job.h - large bodies compressed on libuv's threads, so that the loop goes on.
 *
 * A job has copies of all it needs: the exchange may end, with its client, while it runs. Jobs
 * belong to a hub, which stays until all have ended. */
#ifndef HTTP_COMPRESS_JOB_H
#define HTTP_COMPRESS_JOB_H

#include "base/base.h"
#include "base/limits.h"
#include "http/encoding.h"
#include "http/response.h"

struct compress;
struct exchange;
struct compress_job;

/* The jobs of a hub. A zeroed struct has none. */
struct compress_jobs {
  uint32_t count; /* that have not ended; the hub stays until there are none */
  uint32_t _spare_count;
  struct compress *_spares[SPARE_COMPRESSORS_MAX];
};

/* [owner] Frees the memory that is kept for further jobs; there are none. Accepts a zeroed struct.
 */
void compress_jobs_finish(struct compress_jobs *jobs);

/* [owner] A compressor for a piece of work on a thread, which counts as a job until it is given
 * back. */
struct compress *compress_jobs_take(struct compress_jobs *jobs);
void compress_jobs_give_back(struct compress_jobs *jobs, struct compress *compress);

/* [owner] Starts compressing the response's body. In the loop, later: exchange_finish_encoding is
 * called with the response, its body compressed. */
struct compress_job *compress_job_start(struct exchange *exchange, const struct response *response,
                                        enum encoding encoding);

/* [owner] Nobody waits for it any more: it ends by itself. */
void compress_job_abandon(struct compress_job *job);

#endif
