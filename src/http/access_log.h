/* access_log.h - one line for each answered request, of one worker.
 *
 * A line is made when the response has been written to its end, or is lost: with the bytes and the
 * time it really took. Lines gather here for a turn, then a line_writer takes them. Whatever a
 * client sends stays inside its field and its line. In text a line is the Combined Log Format and
 * further fields as name=value; in JSON an object. */
#ifndef HTTP_ACCESS_LOG_H
#define HTTP_ACCESS_LOG_H

#include "base/base.h"
#include "base/buffer.h"
#include "base/log.h"

#include <stdbool.h>
#include <time.h>

#define ACCESS_LOG_TIME_BYTES 40

/* What stands for the status of a request whose client left and that nobody answered, as in nginx.
 */
#define ACCESS_LOG_STATUS_LEFT 499

struct exchange;
struct line_writer;

struct access_log {
  struct line_writer *writer; /* NULL: there is no access log */
  enum log_format format;     /* text or JSON */
  int worker;
  struct buffer _lines;
  unsigned _count;
  time_t _second; /* that _time shows */
  char _time[ACCESS_LOG_TIME_BYTES];
};

/* What a line says of the response. */
struct access_log_end {
  int status;
  uint64_t body_bytes; /* that the kernel has taken */
  uint64_t took_ns;
  bool is_delivered;
};

/* [owner] Lines of this worker go to `writer`, as text or JSON. */
void access_log_init(struct access_log *log, struct line_writer *writer, enum log_format format,
                     int worker);

/* [owner] Hands over what is left and frees the memory; accepts a zeroed struct. */
void access_log_finish(struct access_log *log);

/* [owner] Adds the line of an exchange that has ended; nothing is written yet. */
void access_log_add(struct access_log *log, const struct exchange *exchange,
                    const struct access_log_end *end);

/* [owner] Hands the lines of the turn over. Never waits. */
void access_log_flush(struct access_log *log);

#endif
