/* prometheus.h - what is known of the process as text, in Prometheus' exposition format 0.0.4.
 *
 * Workers are read through their atomics, pools under their lock for a moment, the process through
 * the kernel: nothing here waits for a thread, however busy it is. */
#ifndef PROMETHEUS_H
#define PROMETHEUS_H

#include "base/buffer.h"
#include "core/metrics.h"

#include <time.h>

#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct background;
struct line_writer;
struct pools;

struct prometheus_process {
  struct timespec started; /* on the wall clock */
  uint64_t started_ns;     /* uv_hrtime */
  struct log_writer *log;
  const struct line_writer *access_log; /* NULL: none */
};

/* [any thread] The metrics of each HTTP worker, labelled by its index. */
void prometheus_write_workers(struct buffer *out, const struct metrics *const *workers, int count);

/* [any thread] Threads, calls and memory of each pool, labelled by its name. */
void prometheus_write_pools(struct buffer *out, struct pools *pools);

/* [any thread] Calls and memory of each background loop, labelled by its name. */
void prometheus_write_loops(struct buffer *out, struct background *background);

/* [any thread] Build, times, memory and descriptors of the process. */
void prometheus_write_process(struct buffer *out, const struct prometheus_process *process);

#endif
