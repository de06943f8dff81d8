/* stall.c - wall time less what was waited for a processor, by the thread or by the watchdog.
 *
 * The kernel keeps the second number of schedstat for each thread: nanoseconds that it could have
 * run and was not let. Where there is none, the watchdog's own lateness is all that is known. */
#include "core/stall.h"

#include "base/stress.h"
#include "core/watchdog.h"
#include "core/worker.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#  define IS_SANITIZED true
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#    define IS_SANITIZED true
#  endif
#endif
#ifndef IS_SANITIZED
#  define IS_SANITIZED false
#endif

int stall_slowness(void) {
  return IS_SANITIZED || STRESS ? 10 : 1;
}

static uint64_t read_waited(const struct stall *stall) {
  char text[80];
  ssize_t len = stall->fd >= 0 ? pread(stall->fd, text, sizeof text - 1, 0) : 0;
  if (len <= 0) return 0;
  text[len] = '\0';
  const char *second = strchr(text, ' ');
  return second ? strtoull(second, NULL, 10) : 0;
}

void stall_watch(struct worker *worker) {
  struct stall *stall = &worker->stall;
  if (!stall->is_watched) stall->fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  stall->is_watched = true;
  stall->worst_ns = 0;
  *stall->place = '\0';
  stall_begin(worker);
}

void stall_unwatch(struct worker *worker) {
  struct stall *stall = &worker->stall;
  if (stall->is_watched && stall->fd >= 0) close(stall->fd);
  stall->is_watched = false;
}

void stall_begin(struct worker *worker) {
  struct stall *stall = &worker->stall;
  watchdog_forget_stall(worker);
  stall->began_late_ns = watchdog_late_ns(worker->process->watchdog);
  stall->began_waited_ns = read_waited(stall);
  stall->began_ns = uv_hrtime();
}

void stall_end(struct worker *worker, const char *runs) {
  struct stall *stall = &worker->stall;
  uint64_t held_ns = uv_hrtime() - stall->began_ns;
  if (held_ns <= stall->worst_ns) return;
  uint64_t waited_ns = read_waited(stall) - stall->began_waited_ns;
  uint64_t late_ns = watchdog_late_ns(worker->process->watchdog) - stall->began_late_ns;
  if (late_ns > waited_ns) waited_ns = late_ns;
  if (held_ns <= waited_ns || held_ns - waited_ns <= stall->worst_ns) return;
  stall->worst_ns = held_ns - waited_ns;
  if (!watchdog_take_stall(worker, stall->place))
    snprintf(stall->place, sizeof stall->place, "%s", runs);
}
