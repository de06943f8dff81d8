/* sender.c - sendfile(2), and waiting for the client.
 *
 * Before each step the first and the last byte of it are looked for in the page cache
 * (RWF_NOWAIT): a step that would wait for a disk is not taken on the loop. Progress is noted in
 * the connection, whose timer ends a transfer that makes none. */
#include "http/sender.h"

#include "base/limits.h"
#include "http/connection.h"
#include "http/hub.h"
#include "http/output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COPY_BYTES = 64 * 1024 };

void sender_init(struct sender *sender, struct connection *connection, int fd,
                 const struct file_plan *plan) {
  *sender = (struct sender){.connection = connection, .plan = plan, .fd = fd, .poll_fd = -1};
}

void sender_init_memory(struct sender *sender, struct connection *connection, const char *memory,
                        const struct file_plan *plan) {
  sender_init(sender, connection, -1, plan);
  sender->memory = memory;
}

/* ---- waiting for the client ---- */

static void on_writable(uv_poll_t *poll, int status, int events) {
  (void)status; /* an error shows in the next step */
  (void)events;
  const struct sender *sender = poll->data;
  connection_touch(sender->connection);
}

static void free_handle(uv_handle_t *handle) {
  free(handle);
}

static uv_err open_poll(struct sender *sender) {
  uv_os_fd_t fd;
  uv_err error = uv_fileno(&sender->connection->io.handle, &fd);
  if (error) return error;
  sender->poll_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (sender->poll_fd < 0) return -errno;
  sender->poll = memory_alloc(sizeof *sender->poll);
  error = uv_poll_init(sender->connection->hub->loop, sender->poll, sender->poll_fd);
  if (!error) {
    sender->poll->data = sender;
    return 0;
  }
  free(sender->poll);
  sender->poll = NULL;
  return error;
}

/* A connection that cannot be waited for is lost; it happens when no descriptors are left. */
static enum sender_result wait_for_room(struct sender *sender) {
  if (!sender->poll && open_poll(sender) != 0) return SENDER_FAILED;
  if (!uv_is_active((uv_handle_t *)sender->poll))
    uv_poll_start(sender->poll, UV_WRITABLE, on_writable);
  return SENDER_WAITS;
}

static void stop_waiting(struct sender *sender) {
  if (sender->poll) uv_poll_stop(sender->poll);
}

void sender_finish(struct sender *sender) {
  if (!sender->poll) return;
  uv_close((uv_handle_t *)sender->poll, free_handle);
  close(sender->poll_fd);
  sender->poll = NULL;
}

/* ---- what is in memory ---- */

static size_t step_bytes(const struct sender *sender, size_t max) {
  return sender->left < max ? (size_t)sender->left : max;
}

/* What the connection may still send in this flush, of this file and others. */
static size_t budget_of(const struct sender *sender) {
  struct connection *connection = sender->connection;
  if (connection->file_flush != connection->hub->_flush_count) {
    connection->file_flush = connection->hub->_flush_count;
    connection->file_flush_bytes = 0;
  }
  return step_bytes(sender, FILE_TURN_BYTES_MAX - connection->file_flush_bytes);
}

static bool is_cold(const struct sender *sender, uint64_t at) {
  char byte;
  struct iovec piece = {.iov_base = &byte, .iov_len = 1};
  return preadv2(sender->fd, &piece, 1, (off_t)at, RWF_NOWAIT) < 0 && errno == EAGAIN;
}

void sender_read_ahead(const struct sender *sender) {
  char bytes[COPY_BYTES];
  uint64_t at = sender->at, end = at + step_bytes(sender, FILE_AHEAD_BYTES);
  while (at < end) {
    size_t len = end - at < sizeof bytes ? (size_t)(end - at) : sizeof bytes;
    ssize_t got = pread(sender->fd, bytes, len, (off_t)at);
    if (got == 0 || (got < 0 && errno != EINTR)) return; /* the next step will see it too */
    if (got > 0) at += (uint64_t)got;
  }
}

/* ---- sending ---- */

static ssize_t copy_some(const struct sender *sender, int socket, size_t len) {
  char bytes[COPY_BYTES];
  ssize_t got =
      pread(sender->fd, bytes, len < sizeof bytes ? len : sizeof bytes, (off_t)sender->at);
  return got > 0 ? send(socket, bytes, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL) : got;
}

static ssize_t send_file(struct sender *sender, int socket, size_t len) {
  off_t at = (off_t)sender->at;
  if (!sender->copies) {
    ssize_t sent = sendfile(socket, sender->fd, &at, len);
    if (sent >= 0 || (errno != EINVAL && errno != ENOSYS)) return sent;
    sender->copies = true;
  }
  return copy_some(sender, socket, len);
}

/* Bytes that went out, 0 at the end of the file, or a negative errno. */
static ssize_t send_some(struct sender *sender, int socket, size_t len) {
  ssize_t sent;
  do {
    if (sender->memory)
      sent = send(socket, sender->memory + sender->at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    else
      sent = send_file(sender, socket, len);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

static void note_progress(struct sender *sender, size_t bytes) {
  struct connection *connection = sender->connection;
  struct hub *hub = connection->hub;
  sender->at += bytes;
  sender->left -= bytes;
  connection->written_bytes += bytes;
  connection->file_flush_bytes += bytes;
  connection->unread_bytes = output_unread(connection);
  connection->write_since_ns = hub_now(hub);
  hub->counts.bytes_out += bytes;
}

/* Whether the next bytes would have to be waited for, on the loop. */
static bool would_wait(struct sender *sender, size_t bytes) {
  bool is_warm = sender->is_warm || sender->copies || sender->memory;
  sender->is_warm = false;
  return !is_warm && (is_cold(sender, sender->at) || is_cold(sender, sender->at + bytes - 1));
}

static enum sender_result send_step(struct sender *sender) {
  uv_os_fd_t socket;
  size_t budget = budget_of(sender);
  if (budget == 0) return wait_for_room(sender);
  if (uv_fileno(&sender->connection->io.handle, &socket) != 0) return SENDER_FAILED;
  if (would_wait(sender, budget)) {
    stop_waiting(sender);
    return SENDER_COLD;
  }
  while (budget > 0) {
    ssize_t sent = send_some(sender, socket, budget);
    if (sent == -EAGAIN) return wait_for_room(sender);
    if (sent == 0) return SENDER_SHORT;
    if (sent < 0) return SENDER_FAILED;
    note_progress(sender, (size_t)sent);
    budget -= (size_t)sent;
  }
  return sender->left > 0 ? wait_for_room(sender) : SENDER_TEXT;
}

/* Puts the text before the next part, or that of the end, into the output. */
static enum sender_result begin_part(struct sender *sender) {
  const struct file_plan *plan = sender->plan;
  size_t end_text_at = plan->texts.len - plan->end_text_len;
  bool is_end = sender->next_part == plan->part_count;
  const struct file_part *part = &plan->parts[is_end ? 0 : sender->next_part++];
  size_t at = is_end ? end_text_at : part->text_at;
  size_t len = is_end ? plan->end_text_len : part->text_len;
  if (len > 0) buffer_add(output_open(sender->connection), plan->texts.data + at, len);
  if (is_end) return SENDER_DONE;
  sender->at = part->range.first;
  sender->left = part->range.len;
  return SENDER_TEXT;
}

enum sender_result sender_step(struct sender *sender) {
  assert(output_backlog(sender->connection) == 0);
  return sender->left > 0 ? send_step(sender) : begin_part(sender);
}
