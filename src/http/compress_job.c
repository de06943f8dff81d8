/* compress_job.c - one body, one piece of work for libuv's threads.
 *
 * The thread sees only the job's own memory. Compressors go back to the hub, which keeps a few for
 * the next jobs. */
#include "http/compress_job.h"

#include "base/buffer.h"
#include "http/compress.h"
#include "http/exchange.h"
#include "http/hub.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

struct compress_job {
  uv_work_t work;
  struct hub *hub;
  struct exchange *exchange; /* NULL: abandoned */
  struct compress *compress;
  enum encoding encoding;
  int status;
  struct buffer block, in, out;
};

void compress_jobs_finish(struct compress_jobs *jobs) {
  assert(jobs->count == 0);
  while (jobs->_spare_count > 0) compress_destroy(jobs->_spares[--jobs->_spare_count]);
}

struct compress *compress_jobs_take(struct compress_jobs *jobs) {
  jobs->count++;
  if (jobs->_spare_count > 0) return jobs->_spares[--jobs->_spare_count];
  return compress_create(COMPRESS_WELL);
}

void compress_jobs_give_back(struct compress_jobs *jobs, struct compress *compress) {
  jobs->count--;
  if (jobs->_spare_count < SPARE_COMPRESSORS_MAX)
    jobs->_spares[jobs->_spare_count++] = compress;
  else
    compress_destroy(compress);
}

static void run(uv_work_t *work) {
  struct compress_job *job = container_of(work, struct compress_job, work);
  compress_run(job->compress, job->encoding, (struct slice){job->in.data, job->in.len}, &job->out);
}

static void end(uv_work_t *work, int error) {
  struct compress_job *job = container_of(work, struct compress_job, work);
  struct exchange *exchange = job->exchange;
  assert(error == 0 || !exchange);
  (void)error;
  compress_jobs_give_back(&job->hub->jobs, job->compress);
  if (exchange) {
    struct response response = {.status = job->status,
                                .block = {job->block.data, job->block.len},
                                .body = {job->out.data, job->out.len}};
    exchange_finish_encoding(exchange, &response);
  }
  buffer_finish(&job->block);
  buffer_finish(&job->in);
  buffer_finish(&job->out);
  free(job);
}

struct compress_job *compress_job_start(struct exchange *exchange, const struct response *response,
                                        enum encoding encoding) {
  struct hub *hub = exchange->hub;
  struct compress_job *job = memory_alloc_zero(sizeof *job);
  job->hub = hub;
  job->exchange = exchange;
  job->compress = compress_jobs_take(&hub->jobs);
  job->encoding = encoding;
  job->status = response->status;
  buffer_add(&job->block, response->block.data, response->block.len);
  buffer_add(&job->in, response->body.data, response->body.len);
  uv_err uv_error = uv_queue_work(hub->loop, &job->work, run, end);
  assert(uv_error == 0 && "it fails only without a function");
  (void)uv_error;
  return job;
}

void compress_job_abandon(struct compress_job *job) {
  job->exchange = NULL;
  uv_cancel((uv_req_t *)&job->work); /* a running one goes on to its end */
}
