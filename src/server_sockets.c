/* server_sockets.c - binding what the settings name, and saying where that is.
 *
 * What goes wrong is told in one line on standard error: nothing has been loaded yet. */
#include "server_sockets.h"

#include "base/log.h"
#include "base/settings.h"
#include "http/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static uv_err bind_tcp(struct server_sockets *sockets, const struct settings *settings, int count,
                       int *fds) {
  char message[LISTENER_MESSAGE_BYTES];
  uv_err error =
      listener_bind(settings->host, (uint16_t)settings->port, count, fds, &sockets->port, message);
  const char *advice = error == UV_EADDRINUSE ? " (end what listens there, or choose --port)" : "";
  if (error) fprintf(stderr, "perilune: %s%s\n", message, advice);
  return error;
}

static uv_err bind_unix(struct server_sockets *sockets, const struct settings *settings, int count,
                        int *fds) {
  char message[UNIX_SOCKET_MESSAGE_BYTES];
  uv_err error = unix_socket_bind(&sockets->unix_socket, settings->unix_path,
                                  (mode_t)settings->unix_mode, settings->backlog, message);
  if (error) {
    fprintf(stderr, "perilune: %s\n", message);
    return error;
  }
  for (int i = 0; i < count; i++) {
    fds[i] = fcntl(sockets->unix_socket.fd, F_DUPFD_CLOEXEC, 0);
    if (fds[i] >= 0) continue;
    error = uv_translate_sys_error(errno);
    fprintf(stderr, "perilune: cannot listen: %s\n", uv_strerror(error));
    while (i > 0) close(fds[--i]);
    return error;
  }
  return 0;
}

uv_err server_sockets_bind(struct server_sockets *sockets, const struct settings *settings,
                           int count, int *fds) {
  return *settings->unix_path ? bind_unix(sockets, settings, count, fds)
                              : bind_tcp(sockets, settings, count, fds);
}

void server_sockets_log(const struct server_sockets *sockets, const struct settings *settings,
                        const struct log *log, int count) {
  char url[UNIX_SOCKET_MESSAGE_BYTES];
  if (*settings->unix_path)
    snprintf(url, sizeof url, "unix:%s", settings->unix_path);
  else
    listener_format_url(url, sizeof url, settings->host, sockets->port);
  const struct log_field fields[] = {log_text("url", url), log_integer("workers", count)};
  log_write(log, LOG_INFO, "listening", fields, array_len(fields));
}

void server_sockets_finish(struct server_sockets *sockets) {
  unix_socket_finish(&sockets->unix_socket);
}
