/* sqlite_run.h - running the SQL of a job on a connection.
 *
 * What comes of it goes into the job. A text of several statements, which may have no parameters
 * and gives no rows, is done as a whole or not at all. */
#ifndef LIB_SQLITE_RUN_H
#define LIB_SQLITE_RUN_H

#include <stdbool.h>

struct sqlite_connection;
struct sqlite_job;

/* [any thread] Runs it, unless it writes: then nothing is done, and the answer is false. */
bool sqlite_run_reading(struct sqlite_connection *connection, struct sqlite_job *job);

/* [any thread] Runs it. */
void sqlite_run(struct sqlite_connection *connection, struct sqlite_job *job);

#endif
