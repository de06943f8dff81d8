/* log_keeper.c - lines one behind the other in a buffer; when it is full half of them go.
 *
 * It stands before the writer of the log: what passes on is posted there, outside the lock. */
#include "core/log_keeper.h"

#include "base/buffer.h"
#include "base/limits.h"
#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct log_keeper {
  struct log *log;
  struct log before;
  uv_mutex_t lock; /* guards the rest; held with no other lock */
  bool keeps, passes_on;
  struct buffer lines;
  uint64_t dropped;
};

/* Makes room: as many of the oldest lines go as half of the buffer holds. Under the lock. */
static void drop_oldest(struct log_keeper *keeper) {
  struct buffer *lines = &keeper->lines;
  size_t at = 0;
  while (at < lines->len && lines->len - at > LOG_SPEC_BYTES / 2) {
    uint32_t len;
    memcpy(&len, lines->data + at, sizeof len);
    at += sizeof len + len;
    keeper->dropped++;
  }
  lines->len -= at;
  memmove(lines->data, lines->data + at, lines->len);
}

/* log.post: takes one line. */
static void post(void *context, const char *line, size_t len) {
  struct log_keeper *keeper = context;
  uint32_t length = (uint32_t)len;
  uv_mutex_lock(&keeper->lock);
  bool keeps = keeper->keeps;
  bool passes_on = !keeps || keeper->passes_on;
  if (keeps) {
    if (keeper->lines.len + sizeof length + len > LOG_SPEC_BYTES) drop_oldest(keeper);
    buffer_add(&keeper->lines, &length, sizeof length);
    buffer_add(&keeper->lines, line, len);
  }
  uv_mutex_unlock(&keeper->lock);
  if (passes_on) keeper->before.post(keeper->before.context, line, len);
}

struct log_keeper *log_keeper_create(struct log *log) {
  struct log_keeper *keeper = memory_alloc_zero(sizeof *keeper);
  keeper->log = log;
  keeper->before = *log;
  uv_err error = uv_mutex_init(&keeper->lock);
  assert(error == 0 && log->post);
  (void)error;
  log->context = keeper;
  log->post = post;
  log->of_process = &keeper->before;
  return keeper;
}

static void set(struct log_keeper *keeper, bool keeps, bool passes_on) {
  uv_mutex_lock(&keeper->lock);
  keeper->keeps = keeps;
  keeper->passes_on = passes_on;
  keeper->lines.len = 0;
  keeper->dropped = 0;
  uv_mutex_unlock(&keeper->lock);
}

void log_keeper_begin(struct log_keeper *keeper, bool passes_on) {
  set(keeper, true, passes_on);
}

void log_keeper_end(struct log_keeper *keeper) {
  set(keeper, false, false);
}

uint64_t log_keeper_take(struct log_keeper *keeper, struct buffer *lines) {
  uv_mutex_lock(&keeper->lock);
  uint64_t dropped = keeper->dropped;
  buffer_add(lines, keeper->lines.data, keeper->lines.len);
  keeper->lines.len = 0;
  keeper->dropped = 0;
  uv_mutex_unlock(&keeper->lock);
  return dropped;
}

void log_keeper_destroy(struct log_keeper *keeper) {
  if (!keeper) return;
  *keeper->log = keeper->before;
  buffer_finish(&keeper->lines);
  uv_mutex_destroy(&keeper->lock);
  free(keeper);
}
