/* unix_socket.h - the file of a listening Unix socket.
 *
 * The socket listens as soon as it is bound, so that another server that finds the file can tell by
 * connecting that it is in use; clients wait until a worker accepts. The file is replaced when
 * nobody listens behind it, and removed at the end if it is still ours. */
#ifndef HTTP_UNIX_SOCKET_H
#define HTTP_UNIX_SOCKET_H

#include "base/base.h"

#include <sys/types.h>

#define UNIX_SOCKET_MESSAGE_BYTES 4352

struct unix_socket {
  const char *path; /* NULL: none */
  int fd;
  dev_t _device;
  ino_t _file;
};

/* [owner] Binds to `path`, which must outlive it, with the permissions `mode`, and listens. Changes
 * the umask of the process for a moment, so no other thread may create files meanwhile. On error
 * nothing is left behind and `message` has one line: "cannot listen on unix:/run/a.sock: another
 * server listens there". */
uv_err unix_socket_bind(struct unix_socket *unix_socket, const char *path, mode_t mode, int backlog,
                        char message[UNIX_SOCKET_MESSAGE_BYTES]);

/* [owner] Closes the socket and removes its file, unless another one stands there by now. Accepts
 * a zeroed struct. */
void unix_socket_finish(struct unix_socket *unix_socket);

#endif
