/* fetch_file.h - the files of a multipart form: opened and read on other threads, piece by piece.
 *
 * They are opened when their request's turn has come, before curl gets it: it wants to know how
 * long they are. While curl sends one piece the next is read; when it has none, sending pauses. In
 * a worker that runs blocking functions all of it happens right there. Nothing here touches Lua. */
#ifndef LIB_FETCH_FILE_H
#define LIB_FETCH_FILE_H

#include "lib/fetch.h"

struct fetch_file;

/* [owner] Makes a file at `path`, which is copied, the content of a part. */
void fetch_file_add(struct fetch *fetch, curl_mimepart *part, const char *path);

/* [owner] Opens the files that are not open yet. True: all of them are. False: fetch_pool_go is
 * called once they are, or the fetch has ended with CURLE_READ_ERROR, now or later. */
bool fetch_file_open_all(struct fetch *fetch);

/* [owner] What is wrong with a file of the fetch, in words, and its path; NULL: nothing. */
const char *fetch_file_problem(const struct fetch *fetch, const char **path);

/* [owner] Lets all files go, read or not; curl's parts are gone. */
void fetch_file_drop_all(struct fetch *fetch);

#endif
