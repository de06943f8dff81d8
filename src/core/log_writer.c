/* log_writer.c - the lines that wait, who writes them, and the thread for when there is no room.
 *
 * One at a time is the one who writes: `is_writing` says that there is one, and what else it works
 * with is its own until it finds nothing left, or hands all over to the thread. The lock is held
 * for a copy of bytes only, so that an event loop never waits for a write of somebody else. */
#include "core/log_writer.h"

#include "base/buffer.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/sink.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

enum { NS_PER_MS = 1000000 };

/* Batches of others that one who writes a line takes along. */
enum { BATCHES_MAX = 4 };

struct log_writer {
  struct log *log;
  uv_mutex_t lock; /* guards the next four; held with no other lock */
  struct buffer pending;
  bool is_writing;
  uint64_t dropped;
  uint64_t untold; /* of them */

  /* whoever writes */
  struct sink sink;
  struct buffer batch;
  size_t written; /* bytes of it */
  int error;      /* of the last write */

  uv_thread_t thread;
  uv_sem_t wake;
  _Atomic(bool) is_handed_over, stops;
  bool is_joined; /* the owner's own */
};

/* ---- writing ---- */

static void count_dropped(struct log_writer *writer, uint64_t lines) {
  uv_mutex_lock(&writer->lock);
  writer->dropped += lines;
  writer->untold += lines;
  uv_mutex_unlock(&writer->lock);
}

/* The rest of the batch cannot be written. */
static void drop_batch(struct log_writer *writer) {
  const char *at = writer->batch.data + writer->written;
  const char *end = writer->batch.data + writer->batch.len;
  uint64_t lines = 0;
  for (; at < end && (at = memchr(at, '\n', (size_t)(end - at))); at++) lines++;
  writer->written = writer->batch.len;
  count_dropped(writer, lines);
}

/* Writes as much of the batch as there is room for; false when there is no more. */
static bool write_batch(struct log_writer *writer) {
  while (writer->written < writer->batch.len) {
    ssize_t len = sink_write(&writer->sink, writer->batch.data + writer->written,
                             writer->batch.len - writer->written);
    if (len > 0) {
      writer->written += (size_t)len;
      writer->error = 0;
    } else if (len < 0 && errno == EAGAIN) {
      return false;
    } else if (len == 0 || errno != EINTR) {
      writer->error = len < 0 ? errno : EIO;
      drop_batch(writer);
    }
  }
  return true;
}

/* Takes what waits as the next batch, and at its end says how many lines were dropped (where
 * writing fails nobody would read that either). False when nothing is left: then nobody writes any
 * more. */
static bool take_batch(struct log_writer *writer) {
  buffer_clear(&writer->batch);
  if (writer->batch.cap > LOG_KEEP_BYTES) buffer_finish(&writer->batch);
  writer->written = 0;
  uv_mutex_lock(&writer->lock);
  struct buffer empty = writer->batch;
  writer->batch = writer->pending;
  writer->pending = empty;
  bool is_last = writer->batch.len == 0;
  uint64_t untold = is_last && !writer->error ? writer->untold : 0;
  writer->untold -= untold;
  bool is_left = !is_last || untold > 0;
  writer->is_writing = is_left;
  uv_mutex_unlock(&writer->lock);
  if (untold > 0) {
    const struct log_field field = log_integer("lines", (int64_t)untold);
    log_write(writer->log, LOG_WARN, "log lines dropped: nobody reads", &field, 1);
  }
  return is_left;
}

/* Writes until nothing is left and gives true; or until there is no room, or so many batches have
 * been written. */
static bool write_all(struct log_writer *writer, int batches_max) {
  for (int i = 0; i < batches_max; i++) {
    if (!write_batch(writer)) return false;
    if (!take_batch(writer)) return true;
  }
  return false;
}

/* ---- the thread ---- */

/* Goes on where somebody found no room. */
static void go_on(struct log_writer *writer) {
  uint64_t leaving_ns = 0;
  while (!write_all(writer, INT_MAX)) {
    if (sink_wait(&writer->sink, LOG_LOOK_MS)) continue;
    if (!atomic_load_explicit(&writer->stops, memory_order_relaxed)) continue;
    if (leaving_ns == 0) leaving_ns = uv_hrtime();
    if (uv_hrtime() - leaving_ns >= (uint64_t)LOG_LEAVE_MS * NS_PER_MS) {
      writer->error = EPIPE;
      drop_batch(writer);
    }
  }
}

static void run(void *context) {
  struct log_writer *writer = context;
  bool stops = false;
  while (!stops) {
    uv_sem_wait(&writer->wake);
    stops = atomic_load_explicit(&writer->stops, memory_order_acquire);
    if (atomic_exchange_explicit(&writer->is_handed_over, false, memory_order_acquire))
      go_on(writer);
  }
}

static void hand_over(struct log_writer *writer) {
  atomic_store_explicit(&writer->is_handed_over, true, memory_order_release);
  uv_sem_post(&writer->wake);
}

/* ---- for the others ---- */

/* log.post: takes one line. */
static void post(void *context, const char *line, size_t len) {
  struct log_writer *writer = context;
  uv_mutex_lock(&writer->lock);
  bool is_full = writer->pending.len + len > LOG_BYTES_MAX;
  bool writes = !is_full && !writer->is_writing;
  if (is_full)
    writer->dropped++, writer->untold++;
  else
    buffer_add(&writer->pending, line, len);
  if (writes) writer->is_writing = true;
  uv_mutex_unlock(&writer->lock);
  if (writes && !write_all(writer, BATCHES_MAX)) hand_over(writer);
}

/* Signals are the main thread's. */
static void start_thread(struct log_writer *writer) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  uv_err error = uv_thread_create(&writer->thread, run, writer);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  assert(error == 0);
  (void)error;
}

struct log_writer *log_writer_create(struct log *log) {
  struct log_writer *writer = memory_alloc_zero(sizeof *writer);
  writer->log = log;
  writer->sink = sink_open(log->fd);
  uv_err error = uv_mutex_init(&writer->lock);
  if (!error) error = uv_sem_init(&writer->wake, 0);
  assert(error == 0);
  (void)error;
  start_thread(writer);
  log->context = writer;
  log->post = post;
  return writer;
}

uint64_t log_writer_dropped(struct log_writer *writer) {
  uv_mutex_lock(&writer->lock);
  uint64_t dropped = writer->dropped;
  uv_mutex_unlock(&writer->lock);
  return dropped;
}

void log_writer_stop(struct log_writer *writer) {
  if (writer->is_joined) return;
  writer->is_joined = true;
  atomic_store_explicit(&writer->stops, true, memory_order_release);
  uv_sem_post(&writer->wake);
  uv_thread_join(&writer->thread);
}

void log_writer_destroy(struct log_writer *writer) {
  if (!writer) return;
  log_writer_stop(writer);
  writer->log->post = NULL;
  if (writer->sink.fd >= 0) close(writer->sink.fd);
  buffer_finish(&writer->pending);
  buffer_finish(&writer->batch);
  uv_sem_destroy(&writer->wake);
  uv_mutex_destroy(&writer->lock);
  free(writer);
}
