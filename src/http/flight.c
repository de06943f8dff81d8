/* flight.c - the counters of TCP sockets, compared.
 *
 * What one end has sent, the other has received: only then is it where a poll finds it. An end that
 * does not want to read for now leaves the rest where it is. */
#include "http/flight.h"

#include "base/tcp_counts.h"
#include "http/connection.h"
#include "http/hub.h"

#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int fd_of(const struct connection *connection) {
  uv_os_fd_t fd = -1;
  return uv_fileno(&connection->io.handle, &fd) == 0 ? fd : -1;
}

static int unread_bytes(int fd) {
  int bytes = 0;
  return ioctl(fd, FIONREAD, &bytes) == 0 ? bytes : 0;
}

/* The port of the socket's own end, or of the other one; 0: it is no connected TCP socket. */
static uint16_t port_of(int fd, int (*get_name)(int, struct sockaddr *, socklen_t *)) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } address = {0};
  socklen_t size = sizeof address;
  if (get_name(fd, &address.any, &size) != 0) return 0;
  if (address.any.sa_family == AF_INET) return address.v4.sin_port;
  return address.any.sa_family == AF_INET6 ? address.v6.sin6_port : 0;
}

static bool reads(const struct connection *connection) {
  return !connection->paused && !connection->clogged;
}

static bool has_unread(const struct connection *connection) {
  struct tcp_counts counts;
  int fd = fd_of(connection);
  if (fd < 0 || connection->closed || !reads(connection)) return false;
  if (unread_bytes(fd) > 0) return true;
  return !connection->ended && tcp_counts_read(fd, &counts) && counts.is_ended;
}

bool flight_is_over(const struct hub *hub) {
  if (hub->jobs.count > 0 || hub->file_count > 0) return false;
  if (!list_is_empty(&hub->_dirty) || !list_is_empty(&hub->_ended)) return false;
  const struct list *connections = &hub->_connections;
  for (const struct list *link = connections->next; link != connections; link = link->next)
    if (has_unread(container_of(link, const struct connection, link))) return false;
  return true;
}

static const struct connection *find_connection(const struct hub *hub, uint16_t client_port) {
  const struct list *connections = &hub->_connections;
  for (const struct list *link = connections->next; link != connections; link = link->next) {
    const struct connection *connection = container_of(link, const struct connection, link);
    int fd = fd_of(connection);
    if (fd >= 0 && port_of(fd, getpeername) == client_port) return connection;
  }
  return NULL;
}

/* Whether all that `from` has to send has come to `to`. */
static bool has_arrived(const struct tcp_counts *from, const struct tcp_counts *to) {
  return from->unsent == 0 && from->sent == to->received;
}

bool flight_is_settled(const struct hub *hub, const struct flight_client *client) {
  uint16_t port = port_of(client->fd, getpeername) ? port_of(client->fd, getsockname) : 0;
  const struct connection *connection = port ? find_connection(hub, port) : NULL;
  struct tcp_counts here, there;
  if (!connection || !tcp_counts_read(client->fd, &here)) return false;
  if (!tcp_counts_read(fd_of(connection), &there) || !here.is_established) return false;
  if (reads(connection) && (client->writes || !has_arrived(&here, &there))) return false;
  if (!client->reads) return true;
  return !connection->writing && unread_bytes(client->fd) == 0 && has_arrived(&there, &here);
}
