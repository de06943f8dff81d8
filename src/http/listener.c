/* listener.c - binding, listening, accepting, pausing.
 *
 * A paused listener leaves the accepted socket with libuv, which then stops watching the listening
 * one; listener_resume takes it and watching goes on. Stopping accepts what the kernel has queued
 * first: closing the socket would reset those clients. */
#include "http/listener.h"

#include "base/address.h"
#include "http/connection.h"
#include "http/hub.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT_TEXT_BYTES = 10 };

static uv_err set_option(int fd, int level, int option, int value) {
  int result = setsockopt(fd, level, option, &value, sizeof value);
  return result == 0 ? 0 : uv_translate_sys_error(errno);
}

/* A bound socket, or an error. */
static uv_err bind_one(const struct addrinfo *address, bool is_shared, int *fd_out) {
  int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return uv_translate_sys_error(errno);
  uv_err error = set_option(fd, SOL_SOCKET, SO_REUSEADDR, true);
  if (!error && is_shared) error = set_option(fd, SOL_SOCKET, SO_REUSEPORT, true);
  if (!error && address->ai_family == AF_INET6)
    error = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, false); /* whatever the system's default is */
  if (!error && bind(fd, address->ai_addr, address->ai_addrlen) != 0)
    error = uv_translate_sys_error(errno);
  if (error)
    close(fd);
  else
    *fd_out = fd;
  return error;
}

static in_port_t *port_of(struct sockaddr *address) {
  if (address->sa_family == AF_INET6) return &((struct sockaddr_in6 *)(void *)address)->sin6_port;
  return &((struct sockaddr_in *)(void *)address)->sin_port;
}

/* The port that a socket is bound to. */
static uv_err read_port(int fd, uint16_t *port) {
  struct sockaddr_storage address;
  socklen_t len = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) return uv_translate_sys_error(errno);
  *port = ntohs(*port_of((struct sockaddr *)&address));
  return 0;
}

/* Binds without SO_REUSEPORT and lets go again: with it, a port that another process shares would
 * not be noticed. Finds the port when `address` has port 0. */
static uv_err probe(struct addrinfo *address) {
  int fd;
  uint16_t port;
  uv_err error = bind_one(address, false, &fd);
  if (error) return error;
  error = read_port(fd, &port);
  if (!error) *port_of(address->ai_addr) = htons(port);
  close(fd);
  return error;
}

static uv_err bind_all(struct addrinfo *address, int count, int *fds, uint16_t *port) {
  bool is_shared = count > 1;
  uv_err error = is_shared ? probe(address) : 0;
  int bound = 0;
  while (!error && bound < count) {
    error = bind_one(address, is_shared, &fds[bound]);
    if (!error) bound++;
  }
  if (!error) error = read_port(fds[0], port);
  if (error)
    while (bound > 0) close(fds[--bound]);
  return error;
}

/* "[::1]" is what URLs say for "::1". */
static void strip_brackets(const char *host, char out[ADDRESS_HOST_BYTES]) {
  size_t len = strnlen(host, ADDRESS_HOST_BYTES - 1);
  bool is_bracketed = len > 2 && *host == '[' && host[len - 1] == ']';
  if (is_bracketed) {
    host++;
    len -= 2;
  }
  memcpy(out, host, len);
  out[len] = '\0';
}

static void format_endpoint(char *out, size_t size, const char *host, uint16_t port) {
  bool is_ipv6 = *host != '[' && strchr(host, ':') != NULL;
  snprintf(out, size, is_ipv6 ? "[%s]:%u" : "%s:%u", host, port);
}

void listener_format_url(char *out, size_t size, const char *host, uint16_t port) {
  char endpoint[ADDRESS_HOST_BYTES + PORT_TEXT_BYTES];
  format_endpoint(endpoint, sizeof endpoint, host, port);
  snprintf(out, size, "http://%s", endpoint);
}

static void explain(char *message, const char *host, uint16_t port, const char *reason) {
  char endpoint[ADDRESS_HOST_BYTES + PORT_TEXT_BYTES];
  format_endpoint(endpoint, sizeof endpoint, host, port);
  snprintf(message, LISTENER_MESSAGE_BYTES, "cannot listen on %s: %s", endpoint, reason);
}

uv_err listener_bind(const char *host, uint16_t port, int count, int *fds, uint16_t *port_out,
                     char message[LISTENER_MESSAGE_BYTES]) {
  assert(count > 0);
  char service[PORT_TEXT_BYTES];
  snprintf(service, sizeof service, "%u", port);
  struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
  struct addrinfo *addresses = NULL;
  char name[ADDRESS_HOST_BYTES];
  strip_brackets(host, name);
  int failure = getaddrinfo(name, service, &hints, &addresses);
  if (failure) {
    explain(message, host, port, gai_strerror(failure));
    return UV_EAI_NONAME;
  }
  uv_err error = UV_EADDRNOTAVAIL;
  for (struct addrinfo *address = addresses; address && error; address = address->ai_next)
    error = bind_all(address, count, fds, port_out);
  freeaddrinfo(addresses);
  if (error) explain(message, host, port, uv_strerror(error));
  return error;
}

static bool is_full(const struct hub *hub) {
  return hub->connection_count >= hub->limits->connections_max;
}

static void on_connection(uv_stream_t *stream, int status) {
  struct listener *listener = container_of(stream, struct listener, io.stream);
  struct hub *hub = listener->hub;
  if (status < 0) { /* out of descriptors, or the client has left: the next one may do */
    hub->counts.accepts_failed++;
  } else if (is_full(hub)) {
    hub->counts.accepts_paused++;
    list_push(&hub->_paused_listeners, &listener->_link);
  } else {
    connection_accept(hub, stream);
  }
}

static void on_closed(uv_handle_t *handle) {
  container_of(handle, struct listener, io.handle)->is_closed = true;
}

static void close_handle(struct listener *listener) {
  listener->hub = NULL;
  list_remove(&listener->_link);
  uv_close(&listener->io.handle, on_closed);
}

/* A handle of the socket's own kind on it; takes `fd` in any case. */
static uv_err open_handle(struct listener *listener, int fd) {
  uv_loop_t *loop = listener->hub->loop;
  bool is_pipe = uv_guess_handle(fd) == UV_NAMED_PIPE;
  uv_err error =
      is_pipe ? uv_pipe_init(loop, &listener->io.pipe, 0) : uv_tcp_init(loop, &listener->io.tcp);
  assert(error == 0);
  error = is_pipe ? uv_pipe_open(&listener->io.pipe, fd) : uv_tcp_open(&listener->io.tcp, fd);
  if (error) close(fd);
  return error;
}

uv_err listener_start(struct listener *listener, struct hub *hub, int fd) {
  *listener = (struct listener){.hub = hub};
  list_init(&listener->_link);
  uv_err error = open_handle(listener, fd);
  if (!error) error = uv_listen(&listener->io.stream, hub->limits->backlog, on_connection);
  if (error) close_handle(listener);
  return error;
}

void listener_resume(struct listener *listener) {
  if (!listener->hub) return;
  connection_accept(listener->hub, &listener->io.stream);
}

void listener_stop(struct listener *listener) {
  struct hub *hub = listener->hub;
  if (!hub) return;
  bool is_paused = !list_is_empty(&listener->_link);
  if (is_paused && !is_full(hub)) listener_resume(listener);
  uv_os_fd_t server;
  uv_err error = uv_fileno(&listener->io.handle, &server);
  assert(error == 0);
  (void)error;
  while (!is_full(hub)) {
    int fd = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && errno == EINTR) continue;
    if (fd < 0) break;
    connection_adopt(hub, fd);
  }
  close_handle(listener);
}
