/* output.c - gathering responses and writing them.
 *
 * Every byte of a connection's output has a number, counted from its start; a response is written
 * out when the kernel has taken the byte it ends with. While a uv_write is under way nothing else
 * is written, later responses gather behind it. Output buffers are the hub's: an idle connection
 * holds none. */
#include "http/output.h"

#include "base/limits.h"
#include "http/connection.h"
#include "http/file.h"

#include <assert.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>

struct output_write {
  uv_write_t request;
  struct connection *connection;
  struct buffer bytes;
  size_t left; /* bytes at the end of `bytes` that are being written */
};

struct buffer *output_open(struct connection *connection) {
  struct hub *hub = connection->hub;
  connection_touch(connection);
  if (!connection->out.data && hub->_spare_output_count > 0)
    connection->out = hub->_spare_outputs[--hub->_spare_output_count];
  return &connection->out;
}

static void give_back(struct hub *hub, struct buffer *buffer) {
  if (!buffer->data) return;
  if (buffer->cap > SPARE_OUTPUT_BYTES_MAX || hub->_spare_output_count == SPARE_OUTPUTS_MAX) {
    buffer_finish(buffer);
    return;
  }
  buffer_clear(buffer);
  hub->_spare_outputs[hub->_spare_output_count++] = *buffer;
  *buffer = (struct buffer){0};
}

size_t output_backlog(const struct connection *connection) {
  return connection->out.len + (connection->writing ? connection->writing->left : 0);
}

uint64_t output_end(const struct connection *connection) {
  return connection->written_bytes + output_backlog(connection);
}

/* The kernel's part matters: it takes more only once a third of its buffer is free, which a slow
 * reader of a large buffer may need minutes for. */
size_t output_unread(const struct connection *connection) {
  uv_os_fd_t fd;
  int in_kernel = 0;
  if (uv_fileno(&connection->io.handle, &fd) != 0 || ioctl(fd, SIOCOUTQ, &in_kernel) != 0)
    in_kernel = 0;
  return uv_stream_get_write_queue_size(&connection->io.stream) + (size_t)in_kernel;
}

static struct exchange *first_of(const struct list *head) {
  return list_is_empty(head) ? NULL : container_of(head->next, struct exchange, _link);
}

/* Whether there are bytes of its response to write once it is its turn. */
static bool is_ready(const struct exchange *exchange) {
  return exchange->state == EXCHANGE_ANSWERED || exchange->state == EXCHANGE_STREAMED;
}

void output_advance(struct connection *connection) {
  struct exchange *exchange = first_of(&connection->pending);
  assert(exchange);
  do {
    list_remove(&exchange->_link);
    connection->pending_count--;
    exchange->state = EXCHANGE_QUEUED;
    exchange->_end = output_end(connection);
    if (exchange->_released && !connection->hub->access_log)
      exchange_recycle(exchange);
    else
      list_push(&connection->unsent, &exchange->_link);
    exchange = first_of(&connection->pending);
    if (!exchange || !is_ready(exchange)) break;
    exchange->_start = output_end(connection);
    buffer_add(&connection->out, exchange->_answer.data, exchange->_answer.len);
    buffer_clear(&exchange->_answer);
  } while (exchange->state == EXCHANGE_ANSWERED);
  if (exchange && exchange->state == EXCHANGE_SENDING) file_begin(exchange->_file);
  if (!connection->incoming) connection->since_ns = hub_now(connection->hub);
}

/* Tells the owners of responses that the kernel has taken to the end. */
static void report_sent(struct connection *connection) {
  struct exchange *exchange;
  while ((exchange = first_of(&connection->unsent))) {
    if (exchange->_end > connection->written_bytes) break;
    list_remove(&exchange->_link);
    exchange_settle(exchange, true);
  }
}

static void count_written(struct connection *connection, size_t bytes) {
  connection->written_bytes += bytes;
  connection->hub->counts.bytes_out += bytes;
}

static void on_written(uv_write_t *request, int status) {
  struct output_write *write = container_of(request, struct output_write, request);
  struct connection *connection = write->connection;
  if (!connection->closed) {
    connection->writing = NULL;
    if (status == 0) {
      count_written(connection, write->left);
      if (!connection->incoming) connection->since_ns = hub_now(connection->hub);
      report_sent(connection);
      connection_touch(connection);
    } else {
      connection_close(connection);
    }
  }
  give_back(connection->hub, &write->bytes);
  free(write);
}

/* Leaves what follows the first `taken` bytes of the output to libuv. */
static uv_err write_rest(struct connection *connection, size_t taken) {
  struct output_write *write = memory_alloc(sizeof *write);
  *write = (struct output_write){
      .connection = connection, .bytes = connection->out, .left = connection->out.len - taken};
  connection->out = (struct buffer){0};
  uv_buf_t rest = {.base = write->bytes.data + taken, .len = write->left};
  uv_err error = uv_write(&write->request, &connection->io.stream, &rest, 1, on_written);
  if (error) {
    buffer_finish(&write->bytes);
    free(write);
    return error;
  }
  connection->writing = write;
  connection->unread_bytes = output_unread(connection);
  connection->write_since_ns = hub_now(connection->hub);
  return 0;
}

/* Tells the writer of a streamed response that it may go on. */
static void report_drained(struct connection *connection) {
  struct exchange *exchange = first_of(&connection->pending);
  if (LIKELY(!exchange) || exchange->state != EXCHANGE_STREAMED || !exchange->clogged) return;
  if (output_backlog(connection) >= STREAM_PAUSE_BYTES / 2) return;
  exchange->clogged = false;
  connection->hub->calls.drained(exchange);
}

static uv_err write_gathered(struct connection *connection) {
  uv_buf_t all = {.base = connection->out.data, .len = connection->out.len};
  int taken = uv_try_write(&connection->io.stream, &all, 1);
  if (taken < 0 && taken != UV_EAGAIN) return taken;
  size_t bytes = taken < 0 ? 0 : (size_t)taken;
  count_written(connection, bytes);
  uv_err error = 0;
  if (LIKELY(bytes == all.len))
    give_back(connection->hub, &connection->out);
  else
    error = write_rest(connection, bytes);
  return error;
}

uv_err output_write(struct connection *connection) {
  uv_err error = 0;
  do {
    if (!connection->writing && connection->out.len > 0) error = write_gathered(connection);
    report_sent(connection);
  } while (!error && connection->sending && output_backlog(connection) == 0 &&
           file_send(connection->sending, &error));
  report_drained(connection);
  return error;
}

void output_drop(struct connection *connection) {
  give_back(connection->hub, &connection->out);
  connection->writing = NULL;
}
