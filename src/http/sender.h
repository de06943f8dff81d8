/* sender.h - parts of a file from the kernel's cache to a socket, as fast as the client takes them.
 *
 * Inside http/ only. sendfile(2) in bounded steps, called once in each turn; between two steps
 * uv_poll waits for room in the socket, on a duplicate of its descriptor (libuv refuses to poll one
 * that it streams on). A slow client costs this struct and two descriptors. Texts between parts go
 * through the connection's output buffer. A body in memory goes the same way, with send(2): it is
 * not copied for each client. */
#ifndef HTTP_SENDER_H
#define HTTP_SENDER_H

#include "base/base.h"
#include "http/file_plan.h"

#include <stdbool.h>
#include <uv.h>

struct connection;

struct sender {
  struct connection *connection;
  const struct file_plan *plan;
  int fd;             /* the file's; borrowed */
  const char *memory; /* borrowed; or NULL: its bytes are there and not in the file */
  size_t next_part;
  uint64_t at, left; /* of the part at hand */
  bool copies;       /* the file system has no sendfile: read and send */
  bool is_warm;      /* what comes next has been read ahead */
  uv_poll_t *poll;   /* NULL until the client has been too slow once */
  int poll_fd;
};

enum sender_result {
  SENDER_WAITS, /* for the client, or for the next turn */
  SENDER_TEXT,  /* bytes stand in the output: they are to be written first */
  SENDER_COLD,  /* what comes next is not in memory: sender_read_ahead, in a thread */
  SENDER_DONE,  /* all of it is sent, or stands in the output */
  SENDER_SHORT, /* the file has become shorter than was promised */
  SENDER_FAILED /* the connection is lost, or the file cannot be read: sender.error */
};

/* [owner] Starts with the first part; nothing is sent yet. The plan outlives the sender. */
void sender_init(struct sender *sender, struct connection *connection, int fd,
                 const struct file_plan *plan);

/* [owner] The same for a body in memory, which outlives the sender. */
void sender_init_memory(struct sender *sender, struct connection *connection, const char *memory,
                        const struct file_plan *plan);

/* [owner] Sends what there is room for, up to FILE_TURN_BYTES_MAX. Everything before it must have
 * been written. */
enum sender_result sender_step(struct sender *sender);

/* [any thread] Reads what the next steps will send, so that the kernel has it in memory. */
void sender_read_ahead(const struct sender *sender);

/* [owner] Ends the waiting. Accepts a zeroed sender, and twice. */
void sender_finish(struct sender *sender);

#endif
