/* sqlite_reader.h - a thread that reads from a database.
 *
 * There may be several; each job gets a connection that nobody else uses, a cursor always the same
 * one. What turns out to write is passed on to the writer. */
#ifndef LIB_SQLITE_READER_H
#define LIB_SQLITE_READER_H

struct sqlite_database;

/* [any thread] The whole of the thread: ends when the database is closing and nothing is left. */
void sqlite_reader_run(struct sqlite_database *database);

#endif
