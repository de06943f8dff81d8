/* sink.c - descriptors that do not block.
 *
 * Where a pipe cannot be opened again (it belongs to somebody else, or there is no /proc), poll is
 * asked before each write of at most PIPE_BUF bytes, for which there is room then. */
#include "core/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FD_PATH_BYTES = 32 };

struct sink sink_open(int fd) {
  struct stat info;
  char path[FD_PATH_BYTES];
  struct sink sink = {.fd = -1, .kind = SINK_NONBLOCKING};
  bool is_known = fstat(fd, &info) == 0;
  if (is_known && S_ISSOCK(info.st_mode)) {
    sink.kind = SINK_SOCKET;
  } else if (is_known && !S_ISREG(info.st_mode)) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    sink.fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (sink.fd < 0) sink.kind = SINK_SHARED;
  }
  if (sink.fd < 0) sink.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return sink;
}

bool sink_wait(const struct sink *sink, int wait_ms) {
  struct pollfd full = {.fd = sink->fd, .events = POLLOUT};
  return poll(&full, 1, wait_ms) > 0;
}

ssize_t sink_write(const struct sink *sink, const char *data, size_t len) {
  if (sink->kind == SINK_SOCKET) return send(sink->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sink->kind == SINK_NONBLOCKING) return write(sink->fd, data, len);
  if (!sink_wait(sink, 0)) {
    errno = EAGAIN;
    return -1;
  }
  return write(sink->fd, data, len > PIPE_BUF ? PIPE_BUF : len);
}
