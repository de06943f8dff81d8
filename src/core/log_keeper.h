/* log_keeper.h - the log's lines of the spec that runs: kept until it is known whether it fails.
 *
 * While lines are kept they do not reach standard error, unless that is asked for; at other times
 * they pass through, as lines about the process (log_of_process) always do. At most LOG_SPEC_BYTES
 * are kept: the oldest go first, and are counted. */
#ifndef CORE_LOG_KEEPER_H
#define CORE_LOG_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct log;
struct log_keeper;

/* [owner] Takes the place of what the log has posted to, and passes lines on to that; while no
 * other thread runs. The log outlives it. The caller owns it. */
struct log_keeper *log_keeper_create(struct log *log);

/* [any thread] Keeps what is written from now on, and passes it on too, or not. What was kept is
 * forgotten. */
void log_keeper_begin(struct log_keeper *keeper, bool passes_on);

/* [any thread] Adds to `lines` what is kept, each line (with its traceback) behind its length, a
 * uint32_t; gives how many are missing. They are not kept any more. */
uint64_t log_keeper_take(struct log_keeper *keeper, struct buffer *lines);

/* [any thread] Keeps nothing from now on. */
void log_keeper_end(struct log_keeper *keeper);

/* [owner] Gives the log back what it has posted to before; no other thread runs. Accepts NULL. */
void log_keeper_destroy(struct log_keeper *keeper);

#endif
