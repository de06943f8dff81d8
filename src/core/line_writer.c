/* line_writer.c - the queue of lines, and the thread behind it.
 *
 * A pipe by name is opened for reading too: then it needs no reader to be opened, and survives one
 * that goes away. */
#include "core/line_writer.h"

#include "base/limits.h"
#include "base/log.h"
#include "core/sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { FILE_MODE = 0644, NS_PER_MS = 1000000 };

struct line_writer {
  uv_mutex_t lock; /* guards the next five; held for a copy of lines, with no other lock */
  struct buffer pending;
  bool reopens;
  bool stops;
  bool is_asleep; /* the thread waits for the first line */
  bool is_hasty;  /* it gathers, and is to be woken when there is much */
  uv_cond_t changed;

  const char *path;
  const struct log *log;
  bool is_terminal;
  uv_thread_t thread;
  bool is_joined;            /* the owner's own */
  _Atomic(bool) is_leaving;  /* the same as `stops`, for the thread while it waits for room */
  _Atomic(uint64_t) dropped; /* lines */

  /* the thread's own */
  struct sink sink;
  bool is_torn; /* the last line was not written to its end */
  uint64_t reported, reported_ns;
  int last_error;
};

/* ---- opening ---- */

static int open_file(const char *path) {
  struct stat info;
  bool is_pipe = stat(path, &info) == 0 && S_ISFIFO(info.st_mode);
  int access = is_pipe ? O_RDWR : O_WRONLY;
  return open(path, access | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, FILE_MODE);
}

/* A sink with fd -1 and errno on error. */
static struct sink open_sink(const char *path) {
  if (strcmp(path, "-") == 0) return sink_open(STDOUT_FILENO);
  return (struct sink){.fd = open_file(path), .kind = SINK_NONBLOCKING};
}

static void reopen(struct line_writer *writer) {
  struct sink sink = open_sink(writer->path);
  if (sink.fd < 0) {
    const struct log_field fields[] = {
        log_text("path", writer->path),
        log_text("error", uv_strerror(uv_translate_sys_error(errno)))};
    log_write(writer->log, LOG_ERROR, "cannot open the access log again", fields,
              array_len(fields));
    return;
  }
  close(writer->sink.fd);
  writer->sink = sink;
  writer->is_torn = false;
}

/* ---- writing, on the thread ---- */

/* Tells the log what has been dropped since it was last told. */
static void report(struct line_writer *writer, bool at_once) {
  uint64_t dropped = atomic_load_explicit(&writer->dropped, memory_order_relaxed);
  uint64_t now = uv_hrtime();
  if (dropped == writer->reported) return;
  if (!at_once && now - writer->reported_ns < (uint64_t)LINE_WRITER_REPORT_MS * NS_PER_MS) return;
  int error = writer->last_error;
  const struct log_field fields[] = {
      log_integer("lines", (int64_t)(dropped - writer->reported)),
      log_text("path", writer->path),
      log_text("reason", error ? uv_strerror(uv_translate_sys_error(error)) : "nobody reads"),
  };
  log_write(writer->log, LOG_WARN, "access log lines dropped", fields, array_len(fields));
  writer->reported = dropped;
  writer->reported_ns = now;
  writer->last_error = 0;
}

static void count_dropped(struct line_writer *writer, uint64_t lines) {
  atomic_fetch_add_explicit(&writer->dropped, lines, memory_order_relaxed);
}

/* What cannot be written is dropped: whole lines, and the rest of a line that was begun. */
static void drop(struct line_writer *writer, const char *data, const char *end, int error) {
  uint64_t lines = 0;
  for (const char *at = data; at < end && (at = memchr(at, '\n', (size_t)(end - at))); at++)
    lines++;
  writer->last_error = error;
  count_dropped(writer, lines);
}

/* Waits for room; false once the writer is to leave and has waited long enough. */
static bool wait_for_room(struct line_writer *writer, uint64_t *leaving_ns) {
  if (sink_wait(&writer->sink, LINE_WRITER_LOOK_MS)) return true;
  report(writer, false);
  if (!atomic_load_explicit(&writer->is_leaving, memory_order_relaxed)) return true;
  if (*leaving_ns == 0) *leaving_ns = uv_hrtime();
  return uv_hrtime() - *leaving_ns < (uint64_t)LINE_WRITER_LEAVE_MS * NS_PER_MS;
}

static void write_lines(struct line_writer *writer, const char *data, size_t len) {
  const char *end = data + len;
  uint64_t leaving_ns = 0;
  bool may_write = true;
  while (data < end && may_write) {
    ssize_t written = sink_write(&writer->sink, data, (size_t)(end - data));
    if (written > 0) {
      data += written;
      writer->is_torn = data[-1] != '\n';
    } else if (written < 0 && (errno == EAGAIN || errno == EINTR)) {
      may_write = wait_for_room(writer, &leaving_ns);
    } else {
      drop(writer, data, end, written < 0 ? errno : EIO);
      return;
    }
  }
  if (data < end) drop(writer, data, end, 0);
}

static void write_batch(struct line_writer *writer, struct buffer *batch) {
  if (batch->len == 0) return;
  if (writer->is_torn) write_lines(writer, "\n", 1);
  write_lines(writer, batch->data, batch->len);
  buffer_clear(batch);
  if (batch->cap > LINE_WRITER_KEEP_BYTES) buffer_finish(batch);
}

/* Sleeps until there is something to do, then lets lines gather. */
static void wait_for_work(struct line_writer *writer) {
  writer->is_asleep = true;
  while (writer->pending.len == 0 && !writer->reopens && !writer->stops)
    uv_cond_wait(&writer->changed, &writer->lock);
  writer->is_asleep = false;
  if (writer->reopens || writer->stops || writer->pending.len >= LINE_WRITER_HASTE_BYTES) return;
  writer->is_hasty = true;
  uv_cond_timedwait(&writer->changed, &writer->lock, (uint64_t)LINE_WRITER_GATHER_MS * NS_PER_MS);
  writer->is_hasty = false;
}

static void run(void *context) {
  struct line_writer *writer = context;
  struct buffer batch = {0};
  bool is_last = false;
  while (!is_last) {
    uv_mutex_lock(&writer->lock);
    wait_for_work(writer);
    struct buffer empty = batch;
    batch = writer->pending;
    writer->pending = empty;
    bool reopens = writer->reopens;
    writer->reopens = false;
    is_last = writer->stops;
    uv_mutex_unlock(&writer->lock);
    write_batch(writer, &batch);
    if (reopens) reopen(writer);
    report(writer, is_last);
  }
  buffer_finish(&batch);
}

/* ---- for the others ---- */

/* Signals are the main thread's. */
static void start_thread(struct line_writer *writer) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  uv_err error = uv_thread_create(&writer->thread, run, writer);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  assert(error == 0);
  (void)error;
}

struct line_writer *line_writer_create(const char *path, const struct log *log,
                                       char message[LINE_WRITER_MESSAGE_BYTES]) {
  struct sink sink = open_sink(path);
  if (sink.fd < 0) {
    snprintf(message, LINE_WRITER_MESSAGE_BYTES, "cannot open %s: %s", path,
             uv_strerror(uv_translate_sys_error(errno)));
    return NULL;
  }
  struct line_writer *writer = memory_alloc_zero(sizeof *writer);
  writer->path = path;
  writer->log = log;
  writer->sink = sink;
  writer->is_terminal = isatty(sink.fd);
  uv_err error = uv_mutex_init(&writer->lock);
  if (!error) error = uv_cond_init(&writer->changed);
  assert(error == 0);
  (void)error;
  start_thread(writer);
  return writer;
}

void line_writer_post(struct line_writer *writer, struct buffer *lines, unsigned count) {
  bool wakes = false;
  uv_mutex_lock(&writer->lock);
  if (writer->stops || writer->pending.len + lines->len > LINE_WRITER_BYTES_MAX) {
    count_dropped(writer, count);
  } else {
    buffer_add(&writer->pending, lines->data, lines->len);
    bool is_much = writer->pending.len >= LINE_WRITER_HASTE_BYTES;
    wakes = writer->is_asleep || (writer->is_hasty && is_much);
  }
  uv_mutex_unlock(&writer->lock);
  if (wakes) uv_cond_signal(&writer->changed);
  buffer_clear(lines);
}

bool line_writer_is_terminal(const struct line_writer *writer) {
  return writer->is_terminal;
}

void line_writer_reopen(struct line_writer *writer) {
  uv_mutex_lock(&writer->lock);
  writer->reopens = true;
  uv_mutex_unlock(&writer->lock);
  uv_cond_signal(&writer->changed);
}

uint64_t line_writer_dropped(const struct line_writer *writer) {
  return atomic_load_explicit(&writer->dropped, memory_order_relaxed);
}

void line_writer_stop(struct line_writer *writer) {
  if (writer->is_joined) return;
  writer->is_joined = true;
  atomic_store_explicit(&writer->is_leaving, true, memory_order_relaxed);
  uv_mutex_lock(&writer->lock);
  writer->stops = true;
  uv_mutex_unlock(&writer->lock);
  uv_cond_signal(&writer->changed);
  uv_thread_join(&writer->thread);
}

void line_writer_destroy(struct line_writer *writer) {
  if (!writer) return;
  line_writer_stop(writer);
  close(writer->sink.fd);
  buffer_finish(&writer->pending);
  uv_cond_destroy(&writer->changed);
  uv_mutex_destroy(&writer->lock);
  free(writer);
}
