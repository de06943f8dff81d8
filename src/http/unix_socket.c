/* unix_socket.c - binding beside what may stand at the path already.
 *
 * Only a socket file that refuses connections is removed, and only if it is still the same file
 * after the look. Does not watch the file: one that somebody removes while we serve is gone. */
#include "http/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum { MODE_ALL = 0777 };

/* What became of the look at a file that stands at the path. */
enum found { FOUND_NOTHING, FOUND_STALE, FOUND_LISTENER, FOUND_OTHER, FOUND_UNKNOWN };

static int open_socket(void) {
  return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static enum found connect_to(const struct sockaddr_un *address) {
  int fd = open_socket();
  if (fd < 0) return FOUND_UNKNOWN;
  int error = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
  close(fd);
  if (error == 0 || error == EAGAIN) return FOUND_LISTENER; /* EAGAIN: its backlog is full */
  if (error == ECONNREFUSED) return FOUND_STALE;
  return error == ENOENT ? FOUND_NOTHING : FOUND_UNKNOWN;
}

/* Looks at what is in the way and removes it if nobody listens there. */
static enum found clear_path(const struct sockaddr_un *address) {
  struct stat before, after;
  if (lstat(address->sun_path, &before) != 0)
    return errno == ENOENT ? FOUND_NOTHING : FOUND_UNKNOWN;
  if (!S_ISSOCK(before.st_mode)) return FOUND_OTHER;
  enum found found = connect_to(address);
  if (found != FOUND_STALE) return found;
  bool is_same = lstat(address->sun_path, &after) == 0 && after.st_ino == before.st_ino &&
                 after.st_dev == before.st_dev;
  if (!is_same) return FOUND_UNKNOWN;
  return unlink(address->sun_path) == 0 ? FOUND_NOTHING : FOUND_UNKNOWN;
}

static int bind_with_mode(int fd, const struct sockaddr_un *address, mode_t mode) {
  mode_t before = umask(MODE_ALL & ~mode);
  int error = bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
  umask(before);
  return error;
}

/* 0, or errno with the reason in words. */
static int bind_path(int fd, const struct sockaddr_un *address, mode_t mode, const char **reason) {
  int error = bind_with_mode(fd, address, mode);
  if (error == EADDRINUSE) {
    enum found found = clear_path(address);
    if (found == FOUND_LISTENER) *reason = "another server listens there";
    if (found == FOUND_OTHER) *reason = "the file exists and is no socket";
    if (found == FOUND_NOTHING) error = bind_with_mode(fd, address, mode);
  }
  if (error && !*reason) *reason = uv_strerror(uv_translate_sys_error(error));
  return error;
}

uv_err unix_socket_bind(struct unix_socket *unix_socket, const char *path, mode_t mode, int backlog,
                        char message[UNIX_SOCKET_MESSAGE_BYTES]) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *reason = NULL;
  int error = 0, fd = -1;
  *unix_socket = (struct unix_socket){0};
  if (strlen(path) >= sizeof address.sun_path) {
    error = ENAMETOOLONG;
    reason = "the path is longer than 107 bytes, the limit of Unix sockets";
  } else {
    memcpy(address.sun_path, path, strlen(path));
    fd = open_socket();
    error = fd < 0 ? errno : bind_path(fd, &address, mode, &reason);
  }
  struct stat file;
  if (!error) {
    bool listens = listen(fd, backlog) == 0 && lstat(path, &file) == 0;
    error = listens ? 0 : errno;
    if (error) unlink(path);
  }
  if (error) {
    if (!reason) reason = uv_strerror(uv_translate_sys_error(error));
    snprintf(message, UNIX_SOCKET_MESSAGE_BYTES, "cannot listen on unix:%s: %s", path, reason);
    if (fd >= 0) close(fd);
    return uv_translate_sys_error(error);
  }
  *unix_socket =
      (struct unix_socket){.path = path, .fd = fd, ._device = file.st_dev, ._file = file.st_ino};
  return 0;
}

void unix_socket_finish(struct unix_socket *unix_socket) {
  struct stat file;
  if (!unix_socket->path) return;
  bool is_ours = lstat(unix_socket->path, &file) == 0 && file.st_ino == unix_socket->_file &&
                 file.st_dev == unix_socket->_device;
  if (is_ours) unlink(unix_socket->path);
  close(unix_socket->fd);
  *unix_socket = (struct unix_socket){0};
}
