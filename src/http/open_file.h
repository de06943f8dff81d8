/* open_file.h - opening files for reading, also ones whose name comes from outside.
 *
 * What is opened beneath a directory is in it: no "..", no absolute path and no symbolic link leads
 * out, whatever others do to the directory meanwhile (openat2 with RESOLVE_BENEATH). Where the
 * kernel has no openat2 (before Linux 5.6) symbolic links are refused altogether. Opening never
 * waits for the other end of a FIFO. What was opened may be anything: look with fstat. */
#ifndef HTTP_OPEN_FILE_H
#define HTTP_OPEN_FILE_H

#include "base/base.h"

#include <stdbool.h>

/* A descriptor that the caller closes, or a negative errno. */
typedef int open_file_fd;

/* [any thread] Opens `path`, absolute or relative to the process's directory. */
open_file_fd open_file_anywhere(const char *path);

/* [any thread] Opens a directory, only to open what is in it. */
open_file_fd open_file_directory(const char *path);

/* [any thread] Opens `path` beneath the directory `dir_fd`. -EXDEV when it would leave it. */
open_file_fd open_file_beneath(int dir_fd, const char *path);

/* [any thread] The same without waiting for a disk: -EAGAIN when it would have to, or cannot tell.
 * The directory must be open_file_is_local. */
open_file_fd open_file_cached(int dir_fd, const char *path);

/* [any thread] Whether what is in the directory's file system is opened without asking another
 * machine or process. */
bool open_file_is_local(int dir_fd);

/* [any thread] The same without openat2: no part of the path may be a symbolic link or "..". */
open_file_fd open_file_walk(int dir_fd, const char *path);

#endif
