/* sqlite_writer.h - the one thread that writes to a database.
 *
 * What waits at the same time and belongs to no transaction shares one, and is acknowledged once
 * that is committed; each job still has its own result or failure. While a transaction is open, its
 * jobs alone are done. */
#ifndef LIB_SQLITE_WRITER_H
#define LIB_SQLITE_WRITER_H

struct sqlite_database;

/* [any thread] The whole of the thread: ends when the database is closing and nothing is left. */
void sqlite_writer_run(struct sqlite_database *database);

#endif
