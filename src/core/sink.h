/* sink.h - a descriptor that is written to without ever waiting for whoever reads it.
 *
 * A pipe or terminal is opened for this process alone (through /proc/self/fd), because O_NONBLOCK
 * belongs to the open file and would change it for everybody who shares it. */
#ifndef CORE_SINK_H
#define CORE_SINK_H

#include "base/base.h"

#include <stdbool.h>
#include <sys/types.h>

enum sink_kind {
  SINK_NONBLOCKING, /* it does not block */
  SINK_SOCKET,      /* written with MSG_DONTWAIT */
  SINK_SHARED       /* may block: at most PIPE_BUF at once, when poll says that there is room */
};

struct sink {
  int fd; /* owned */
  enum sink_kind kind;
};

/* [any thread] A sink for the file behind `fd`, which other processes may write to as well; its fd
 * is -1, with errno, on error. */
struct sink sink_open(int fd);

/* [owner] Writes what there is room for, as write does; -1 and EAGAIN where there is none. */
ssize_t sink_write(const struct sink *sink, const char *data, size_t len);

/* [owner] Waits for room; false when there is none after so many milliseconds. */
bool sink_wait(const struct sink *sink, int wait_ms);

#endif
