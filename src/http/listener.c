/* listener.c - binding, listening, accepting, pausing.
 *
 * Accepts by itself, woken by uv_poll: uv_listen would go round for ever inside the loop once no
 * descriptor is left and its spare one is lost. A paused listener does not watch its socket, whose
 * clients wait in the kernel. Stopping accepts those first: closing would reset them. */
#include "http/listener.h"

#include "base/address.h"
#include "base/limits.h"
#include "base/log.h"
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

/* ---- accepting ---- */

static bool is_full(const struct hub *hub) {
  return hub->connection_count >= hub->limits->connections_max;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void watch(struct listener *listener) {
  uv_err error = uv_poll_start(&listener->_poll, UV_READABLE, on_readable);
  assert(error == 0);
  (void)error;
}

/* Until a connection of the hub has closed. */
static void pause_accepting(struct listener *listener) {
  uv_poll_stop(&listener->_poll);
  list_push(&listener->hub->_paused_listeners, &listener->_link);
}

static void retry(struct timer *timer) {
  listener_resume(container_of(timer, struct listener, _retry));
}

static void tell_failure(struct listener *listener, uint64_t now, int error) {
  const struct log *log = listener->hub->log;
  if (!log || now < listener->_next_report_ns) return;
  const struct log_field field = log_text("error", uv_strerror(uv_translate_sys_error(error)));
  log_write(log, LOG_ERROR, "connections cannot be accepted", &field, 1);
  listener->_next_report_ns = now + ACCEPT_REPORT_MS * NS_PER_MS;
}

/* Out of descriptors or memory, which may be others' doing: looks again after a while, too. */
static void fail_accepting(struct listener *listener, int error) {
  struct hub *hub = listener->hub;
  uint64_t now = timers_now(hub->timers);
  hub->counts.accepts_failed++;
  tell_failure(listener, now, error);
  pause_accepting(listener);
  timer_start(hub->timers, &listener->_retry, now + ACCEPT_RETRY_MS * NS_PER_MS, retry);
}

/* Takes one connection; gives 0, or the errno that says why there is none. */
static int accept_one(struct listener *listener) {
  int fd = accept4(listener->_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return errno;
  connection_adopt(listener->hub, fd, listener->_is_unix);
  return 0;
}

/* The client has left, or the network failed: the next one may do (accept(2)). */
static bool is_passing(int error) {
  return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM ||
         error == ENETDOWN || error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET ||
         error == EHOSTUNREACH || error == ENETUNREACH;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  struct listener *listener = container_of(poll, struct listener, _poll);
  struct hub *hub = listener->hub;
  (void)status; /* an error shows in accept */
  (void)events;
  if (is_full(hub)) {
    hub->counts.accepts_paused++;
    pause_accepting(listener);
    return;
  }
  for (int i = 0; i < ACCEPTS_MAX && !is_full(hub); i++) {
    int error = accept_one(listener);
    if (error == EAGAIN) return;
    if (error != 0 && !is_passing(error)) {
      fail_accepting(listener, error);
      return;
    }
    if (error != 0) hub->counts.accepts_failed++;
  }
}

static void on_closed(uv_handle_t *handle) {
  container_of(handle, struct listener, _poll)->is_closed = true;
}

uv_err listener_start(struct listener *listener, struct hub *hub, int fd) {
  *listener = (struct listener){._fd = fd, ._is_unix = uv_guess_handle(fd) == UV_NAMED_PIPE};
  list_init(&listener->_link);
  uv_err error = 0;
  if (listen(fd, hub->limits->backlog) != 0) error = uv_translate_sys_error(errno);
  if (!error) error = uv_poll_init(hub->loop, &listener->_poll, fd);
  if (error) {
    close(fd);
    listener->is_closed = true;
    return error;
  }
  listener->hub = hub;
  watch(listener);
  return 0;
}

void listener_resume(struct listener *listener) {
  if (!listener->hub) return;
  timer_stop(listener->hub->timers, &listener->_retry);
  list_remove(&listener->_link);
  watch(listener);
}

void listener_stop(struct listener *listener) {
  struct hub *hub = listener->hub;
  if (!hub) return;
  for (int error = 0; !is_full(hub) && (error == 0 || is_passing(error));)
    error = accept_one(listener);
  timer_stop(hub->timers, &listener->_retry);
  list_remove(&listener->_link);
  listener->hub = NULL;
  uv_close((uv_handle_t *)&listener->_poll, on_closed);
  close(listener->_fd);
}
