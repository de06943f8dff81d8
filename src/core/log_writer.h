/* log_writer.h - the log's lines on their way out: nobody who writes one waits for its reader.
 *
 * Whoever writes a line writes it out at once, unless somebody does already: then that one takes it
 * along. When there is no room (a pipe that nobody reads, a stopped terminal) a thread waits for
 * it; at most LOG_BYTES_MAX wait meanwhile, further lines are dropped and counted, and the log says
 * so as soon as it can. */
#ifndef CORE_LOG_WRITER_H
#define CORE_LOG_WRITER_H

#include <stdint.h>

struct log;
struct log_writer;

/* [owner] Lets the lines of a log, which has an fd, go through a writer and its thread. The log
 * outlives it. The caller owns it. */
struct log_writer *log_writer_create(struct log *log);

/* [any thread] Lines that were not written, so far. */
uint64_t log_writer_dropped(struct log_writer *writer);

/* [owner] Waits LOG_LEAVE_MS at most for what is left, and ends the thread; others may still write
 * lines. Twice is harmless. */
void log_writer_stop(struct log_writer *writer);

/* [owner] Stops it and frees it; nobody writes any more, or the log does so itself again. Accepts
 * NULL. */
void log_writer_destroy(struct log_writer *writer);

#endif
