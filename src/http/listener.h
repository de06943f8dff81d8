/* listener.h - listening sockets, and accepting from them into a hub.
 *
 * The process binds all sockets of one address first (listener_bind), so that a wrong host or a
 * port in use ends the start; each worker then listens on its own. With several workers the kernel
 * spreads connections over them (SO_REUSEPORT). A Unix socket (unix_socket.h) is one for all of
 * them, each listens on a duplicate of its descriptor. */
#ifndef HTTP_LISTENER_H
#define HTTP_LISTENER_H

#include "base/base.h"
#include "base/list.h"
#include "core/timer.h"

#include <stdbool.h>
#include <uv.h>

#define LISTENER_MESSAGE_BYTES 512

struct hub;

struct listener {
  struct hub *hub; /* NULL while stopped */
  bool is_closed;  /* its memory may go */

  uv_poll_t _poll;
  int _fd;
  bool _is_unix;
  struct list _link;        /* hub._paused_listeners */
  struct timer _retry;      /* after a failure */
  uint64_t _next_report_ns; /* of one */
};

/* [any thread] Binds `count` sockets to one port of `host` (a name or an address, IPv6 with or
 * without brackets; "::" takes IPv4 too; port 0 takes a free one). With more than one, SO_REUSEPORT
 * is set after a probe without it. Gives the descriptors (the caller's to close or to hand to
 * listener_start) and the port. On error nothing stays open and `message` has one line: "cannot
 * listen on 127.0.0.1:80: permission denied". */
uv_err listener_bind(const char *host, uint16_t port, int count, int *fds, uint16_t *port_out,
                     char message[LISTENER_MESSAGE_BYTES]);

/* [any thread] Writes "http://host:port", with brackets around an IPv6 address. */
void listener_format_url(char *out, size_t size, const char *host, uint16_t port);

/* [owner] Listens on a bound TCP or Unix socket, backlog as in the hub's limits, and accepts into
 * the hub; takes `fd` in any case. While the hub has connections_max connections none is accepted.
 * On error the listener is stopped, and is_closed after the loop has run. */
uv_err listener_start(struct listener *listener, struct hub *hub, int fd);

/* [owner] Accepts what the kernel has queued, up to connections_max, then closes the socket;
 * is_closed is set after the loop has run. Accepts a stopped one. */
void listener_stop(struct listener *listener);

/* [owner] Goes on accepting after a pause: because connections_max was reached, or descriptors or
 * memory were out. Called when a connection of the hub has closed. */
void listener_resume(struct listener *listener);

#endif
