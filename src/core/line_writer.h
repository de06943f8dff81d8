/* line_writer.h - a thread that writes lines to a file or pipe, so that nobody else waits for it.
 *
 * Any thread posts whole lines; they gather for a moment and leave together, in the order of
 * posting. When a pipe is full or a disk does not keep up, at most LINE_WRITER_BYTES_MAX wait;
 * further lines are dropped and counted, and the log says so once a second. At the end what is left
 * is written, for as long as LINE_WRITER_LEAVE_MS if nobody reads. */
#ifndef CORE_LINE_WRITER_H
#define CORE_LINE_WRITER_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

#define LINE_WRITER_MESSAGE_BYTES 4352

struct log;
struct line_writer;

/* [owner] Opens `path` for appending ("-": standard output) and starts the thread. NULL on error,
 * and `message` is one line: "cannot open /x/access.log: permission denied". `path` and `log`
 * outlive it; the log is told of drops. The caller owns it. */
struct line_writer *line_writer_create(const char *path, const struct log *log,
                                       char message[LINE_WRITER_MESSAGE_BYTES]);

/* [any thread] Whether a terminal is what was opened. */
bool line_writer_is_terminal(const struct line_writer *writer);

/* [any thread] Takes `count` lines out of the buffer, each with its newline; empties the buffer.
 * After line_writer_stop they are dropped. */
void line_writer_post(struct line_writer *writer, struct buffer *lines, unsigned count);

/* [any thread] Opens the path again once what was posted before has been written: after the file
 * was renamed. Goes on with the old file if it cannot be opened, and the log says so. */
void line_writer_reopen(struct line_writer *writer);

/* [any thread] Lines that were not written, so far. */
uint64_t line_writer_dropped(const struct line_writer *writer);

/* [owner] Writes what is left and ends the thread; may be called twice, and while others post. */
void line_writer_stop(struct line_writer *writer);

/* [owner] Stops it and frees it; nobody posts any more. Accepts NULL. */
void line_writer_destroy(struct line_writer *writer);

#endif
