/* file.h - answering with a file.
 *
 * file_respond takes the place of exchange_respond; the rest happens by itself: once it is the
 * exchange's turn, the file is looked for (on libuv's threads, where it may have to be waited for),
 * conditions and ranges are obeyed, and its bytes go from the kernel's cache to the socket. A
 * client that leaves and a server that stops end it at any point; hub.sent is called as for any
 * response. */
#ifndef HTTP_FILE_H
#define HTTP_FILE_H

#include "base/base.h"
#include "http/exchange.h"

#include <stdbool.h>

struct file;

/* Which file, and what to say with it. All of it is copied. */
struct file_wanted {
  struct slice path;
  struct slice root; /* a directory that the path must not leave; empty: */
  int dir_fd;        /* the same, opened; -1: the path leads anywhere */
  bool is_local;     /* open_file_is_local(dir_fd) */
  int status;
  struct slice block; /* encoded fields; they have passed response_check_field */

  /* of static files */
  bool has_index;    /* a directory that has one is answered by MATCH_SLASH */
  bool has_siblings; /* .br and .gz of it may be sent in its place */
  /* Called in place of an answer when there is no such file: the exchange is the callee's then, as
   * if it came from hub.handle, and `at` is handed through. NULL: 404. The owner of an exchange
   * that is handed over with it gives it up at once. */
  void (*otherwise)(struct exchange *exchange, size_t at);
  size_t at;
};

/* [owner] Answers with the file, or with 404 when there is none, 500 when it cannot be read, which
 * is logged, 503 when no descriptor is left. */
void file_respond(struct exchange *exchange, const struct file_wanted *wanted);

/* For the files of http/ only. [owner] It is the exchange's turn to write. */
void file_begin(struct file *file);

/* For the files of http/ only. [owner] Sends what there is room for; everything before must have
 * been written. True when output_write should go on at once. An error means the connection is
 * lost. */
bool file_send(struct file *file, uv_err *error);

/* For the files of http/ only. [owner] The connection is lost. */
void file_abandon(struct file *file);

#endif
