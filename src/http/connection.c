/* connection.c - opening, timing, draining and closing a connection.
 *
 * One timer per connection, set lazily: activity only changes a time stamp, and the timer, when it
 * fires, looks at what is due and sets itself again. A connection ends in three steps: no further
 * request is read (last_read), our side is shut down after the last response while input is
 * dropped (lingering), then the handle is closed. Callbacks of libuv only record. */
#include "http/connection.h"

#include "base/limits.h"
#include "http/listener.h"
#include "http/output.h"
#include "http/proxy.h"
#include "http/reader.h"
#include "http/status.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEVER UINT64_MAX

void connection_touch(struct connection *connection) {
  if (!connection->closed && list_is_empty(&connection->dirty))
    list_push(&connection->hub->_dirty, &connection->dirty);
}

static bool is_idle(const struct connection *connection) {
  return connection->pending_count == 0 && !connection->incoming && output_backlog(connection) == 0;
}

/* Whether the client has to take something. */
static bool is_writing(const struct connection *connection) {
  return connection->writing || connection->sending;
}

static uint64_t ms(uint32_t milliseconds) {
  return milliseconds * NS_PER_MS;
}

/* When something is to be done if nothing happens until then. */
static uint64_t due_ns(const struct connection *connection) {
  const struct http_limits *limits = connection->hub->limits;
  if (connection->lingering) return connection->since_ns + LINGER_MS * NS_PER_MS;
  uint64_t due = NEVER;
  if (connection->incoming) {
    if (!connection->paused)
      due = connection->since_ns +
            ms(connection->head_done ? limits->body_timeout_ms : limits->header_timeout_ms);
  } else if (connection->streamed) {
    if (!connection->paused && !connection->clogged)
      due = connection->since_ns + ms(limits->body_timeout_ms);
  } else if (is_idle(connection)) {
    due = connection->since_ns + ms(limits->idle_timeout_ms);
  }
  if (is_writing(connection)) {
    uint64_t write_due = connection->write_since_ns + ms(limits->write_timeout_ms);
    if (write_due < due) due = write_due;
  }
  return due;
}

static void on_timer(struct timer *timer);

/* Makes sure that the timer fires when something is due, or earlier. */
static void arm(struct connection *connection) {
  uint64_t due = due_ns(connection);
  if (due == NEVER) return;
  struct timer *timer = &connection->timer;
  if (!timer_is_started(timer) || timer->due_ns > due)
    timer_start(connection->hub->timers, timer, due, on_timer);
}

/* Notes whether the client has read something since the last look. */
static void watch_writing(struct connection *connection, uint64_t now) {
  size_t unread = output_unread(connection);
  if (unread < connection->unread_bytes) connection->write_since_ns = now;
  connection->unread_bytes = unread;
}

static void on_timer(struct timer *timer) {
  struct connection *connection = container_of(timer, struct connection, timer);
  struct hub *hub = connection->hub;
  hub->_now_known = false; /* the turn began before the timer was due */
  uint64_t now = hub_now(hub);
  if (is_writing(connection)) watch_writing(connection, now);
  if (now < due_ns(connection)) {
    arm(connection);
    return;
  }
  bool is_write_due = is_writing(connection) &&
                      now >= connection->write_since_ns + ms(hub->limits->write_timeout_ms);
  bool is_reading = connection->incoming || connection->streamed;
  if (is_reading && !is_write_due) {
    reader_refuse(connection, STATUS_REQUEST_TIMEOUT);
    arm(connection);
  } else {
    connection_close(connection);
  }
}

static void on_input_wanted(uv_handle_t *handle, size_t size, uv_buf_t *out) {
  (void)size;
  struct connection *connection = handle->data;
  *out = (uv_buf_t){.base = connection->hub->_input, .len = INPUT_BYTES};
}

/* Input after the last request is read and dropped, so that the client can finish sending and
 * gets its response; up to a limit. */
static void drop_input(struct connection *connection, size_t len) {
  connection->dropped_bytes += len;
  if (connection->dropped_bytes <= LINGER_BYTES_MAX) return;
  if (connection->lingering)
    connection_close(connection);
  else
    uv_read_stop(&connection->io.stream);
}

/* The client has ended its side. A request that was coming in never ends. */
static void end_input(struct connection *connection) {
  connection->ended = true;
  if (connection->lingering) {
    connection_close(connection);
    return;
  }
  if (connection->streamed)
    reader_break_body(connection, 0);
  else if (connection->incoming && !connection->last_read)
    reader_refuse(connection, STATUS_BAD_REQUEST);
  connection->last_read = true;
  void (*half_closed)(struct exchange *) = connection->hub->calls.half_closed;
  if (half_closed) {
    for (struct list *link = connection->pending.next, *next; link != &connection->pending;
         link = next) {
      next = link->next;
      struct exchange *exchange = container_of(link, struct exchange, _link);
      if (exchange->state == EXCHANGE_HANDLED || exchange->state == EXCHANGE_STREAMED)
        half_closed(exchange);
    }
  }
  connection_touch(connection);
}

static void on_input(uv_stream_t *stream, ssize_t len, const uv_buf_t *input) {
  struct connection *connection = stream->data;
  if (len == 0) return;
  if (len == UV_EOF) {
    end_input(connection);
  } else if (len < 0) {
    connection_close(connection);
  } else {
    connection->hub->counts.bytes_in += (uint64_t)len;
    if (UNLIKELY(connection->last_read)) {
      drop_input(connection, (size_t)len);
      return;
    }
    reader_feed(connection, input->base, (size_t)len);
    if (connection->paused || connection->clogged) uv_read_stop(stream);
    arm(connection);
  }
}

static struct connection *create(struct hub *hub, bool is_unix) {
  struct list *link = list_pop(&hub->_spare_connections);
  struct connection *connection;
  if (link) {
    hub->_spare_connection_count--;
    connection = container_of(link, struct connection, link);
  } else {
    connection = memory_alloc(sizeof *connection);
  }
  *connection = (struct connection){.hub = hub, .since_ns = hub_now(hub)};
  list_init(&connection->link);
  list_init(&connection->dirty);
  list_init(&connection->pending);
  list_init(&connection->unsent);
  reader_start(connection);
  list_push(&hub->_connections, &connection->link);
  hub->connection_count++;
  uv_err error = is_unix ? uv_pipe_init(hub->loop, &connection->io.pipe, 0)
                         : uv_tcp_init(hub->loop, &connection->io.tcp);
  assert(error == 0); /* without a socket it only fills in the struct */
  (void)error;
  connection->io.handle.data = connection;
  return connection;
}

static void find_peer(struct connection *connection) {
  struct sockaddr_storage address;
  int len = sizeof address;
  connection->peer_known = true;
  if (connection->io.handle.type == UV_TCP) {
    if (uv_tcp_getpeername(&connection->io.tcp, (struct sockaddr *)&address, &len) == 0)
      address_format_socket((const struct sockaddr *)&address, connection->peer);
  } else {
    memcpy(connection->peer, PROXY_UNIX_PEER, sizeof PROXY_UNIX_PEER);
  }
}

const char *connection_peer(struct connection *connection) {
  if (!connection->peer_known) find_peer(connection);
  return connection->peer;
}

/* The socket is there, or it is not and the connection closes again. */
static uv_err start(struct connection *connection, uv_err error) {
  if (!error) error = uv_read_start(&connection->io.stream, on_input_wanted, on_input);
  if (error) {
    connection_close(connection);
    return error;
  }
  if (connection->io.handle.type == UV_TCP)
    uv_tcp_nodelay(&connection->io.tcp, true); /* a failure costs latency, nothing else */
  connection->hub->counts.connections++;
  if (UNLIKELY(connection->hub->access_log != NULL)) find_peer(connection); /* it may leave soon */
  arm(connection);
  return 0;
}

uv_err connection_adopt(struct hub *hub, int fd, bool is_unix) {
  struct connection *connection = create(hub, is_unix);
  uv_err error =
      is_unix ? uv_pipe_open(&connection->io.pipe, fd) : uv_tcp_open(&connection->io.tcp, fd);
  if (error) close(fd);
  return start(connection, error);
}

/* Ends our side, and drops what still comes until the client ends its own. */
static void linger(struct connection *connection) {
  uv_os_fd_t fd;
  bool is_shut = uv_fileno(&connection->io.handle, &fd) == 0 && shutdown(fd, SHUT_WR) == 0;
  if (!is_shut || connection->ended || connection->dropped_bytes > LINGER_BYTES_MAX) {
    connection_close(connection);
    return;
  }
  connection->lingering = true;
  connection->since_ns = hub_now(connection->hub);
  uv_read_start(&connection->io.stream, on_input_wanted, on_input);
}

/* Goes on reading once enough of what was read has been answered and written. */
static void resume_input(struct connection *connection) {
  if (connection->pending_count > connection->hub->limits->pipeline_max / 2 ||
      output_backlog(connection) > OUTPUT_PAUSE_BYTES)
    return;
  if (connection->incoming) connection->since_ns = hub_now(connection->hub);
  reader_resume(connection);
  if (!connection->paused && !connection->clogged)
    uv_read_start(&connection->io.stream, on_input_wanted, on_input);
}

void connection_unclog(struct connection *connection) {
  connection->clogged = false;
  connection->since_ns = hub_now(connection->hub);
  if (!connection->paused) uv_read_start(&connection->io.stream, on_input_wanted, on_input);
  arm(connection);
}

/* Whether it is the turn of the request that is read to be told to go on. */
static bool may_continue(const struct connection *connection) {
  if (connection->pending_count == 0) return true;
  return connection->streamed && connection->pending.next == &connection->streamed->_link &&
         connection->streamed->state == EXCHANGE_HANDLED;
}

static void pause_input(struct connection *connection) {
  if (output_backlog(connection) <= OUTPUT_PAUSE_BYTES || connection->last_read) return;
  connection->paused = true;
  uv_read_stop(&connection->io.stream);
}

void connection_flush(struct connection *connection) {
  if (connection->closed) return;
  if (connection->continue_due && may_continue(connection)) {
    connection->continue_due = false;
    buffer_add_text(output_open(connection), EXCHANGE_CONTINUE);
    list_remove(&connection->dirty);
  }
  if (output_write(connection) != 0) {
    connection_close(connection);
    return;
  }
  if (connection->closed) return;
  if (UNLIKELY(connection->paused))
    resume_input(connection);
  else if (UNLIKELY(connection->writing != NULL))
    pause_input(connection);
  if (connection->last_read && !connection->lingering && is_idle(connection)) linger(connection);
  if (!connection->closed) arm(connection);
}

/* Whether a request may wait in the socket, sent before the client could know of our end. */
static bool has_unread_input(struct connection *connection) {
  uv_os_fd_t fd;
  int bytes = 0;
  if (uv_fileno(&connection->io.handle, &fd) != 0) return false;
  return ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

/* Gives the socket of an idle connection to who takes over; what waits in it, too. */
static bool hand_over(struct connection *connection) {
  void (*take)(struct hub *, int, bool) = connection->hub->calls.hand_over;
  uv_os_fd_t fd;
  if (!take || connection->last_read || uv_fileno(&connection->io.handle, &fd) != 0) return false;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return false;
  bool is_unix = connection->io.handle.type == UV_NAMED_PIPE;
  connection_close(connection);
  take(connection->hub, copy, is_unix);
  return true;
}

void connection_drain(struct connection *connection) {
  if (connection->closed || connection->lingering || connection->incoming) return;
  if (!connection->streamed && is_idle(connection) && hand_over(connection)) return;
  if (connection->streamed)
    connection->streamed->_closes = true;
  else if (!is_idle(connection))
    connection->last_read = true;
  else if (!has_unread_input(connection))
    connection_close(connection);
}

static void on_closed(uv_handle_t *handle) {
  struct connection *connection = handle->data;
  struct hub *hub = connection->hub;
  hub->connection_count--;
  if (hub->_spare_connection_count < SPARE_CONNECTIONS_MAX) {
    list_push_front(&hub->_spare_connections, &connection->link);
    hub->_spare_connection_count++;
  } else {
    free(connection);
  }
  struct list *link = list_pop(&hub->_paused_listeners);
  if (link) listener_resume(container_of(link, struct listener, _link));
}

static void detach_all(struct list *exchanges) {
  struct list *link;
  while ((link = list_pop(exchanges))) exchange_detach(container_of(link, struct exchange, _link));
}

void connection_close(struct connection *connection) {
  if (connection->closed) return;
  connection->closed = true;
  timer_stop(connection->hub->timers, &connection->timer);
  list_remove(&connection->dirty);
  list_remove(&connection->link);
  uv_close(&connection->io.handle, on_closed);
  output_drop(connection);
  buffer_finish(&connection->rest);
  if (connection->incoming) exchange_detach(connection->incoming);
  connection->incoming = connection->streamed = NULL;
  connection->sending = NULL;
  connection->pending_count = 0;
  detach_all(&connection->unsent);
  detach_all(&connection->pending);
}

void connection_reset(struct connection *connection) {
  static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  uv_os_fd_t fd;
  if (!connection->closed && uv_fileno(&connection->io.handle, &fd) == 0)
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  connection_close(connection);
}
