/* server_sockets.h - the sockets that a server listens on: TCP, or one Unix socket.
 *
 * They belong to the process and are bound before anything is loaded, so that a port in use ends
 * the start at once; each worker gets a descriptor of its own. */
#ifndef SERVER_SOCKETS_H
#define SERVER_SOCKETS_H

#include "base/base.h"
#include "http/unix_socket.h"

#include <stdint.h>

struct log;
struct settings;

struct server_sockets {
  uint16_t port;                  /* of the TCP sockets */
  struct unix_socket unix_socket; /* instead of them, if --unix is given */
};

/* [owner] Binds zeroed sockets as the settings say; gives `count` descriptors, the caller's to
 * close. On error it has said why in one line on standard error, and gives none. */
uv_err server_sockets_bind(struct server_sockets *sockets, const struct settings *settings,
                           int count, int *fds);

/* [owner] Says in the log where `count` workers listen. */
void server_sockets_log(const struct server_sockets *sockets, const struct settings *settings,
                        const struct log *log, int count);

/* [owner] Removes the Unix socket's file, if there is one: the next server may come. Twice is
 * harmless. */
void server_sockets_finish(struct server_sockets *sockets);

#endif
