/* fetch_file.c - one piece at a time of each file, between a thread that reads and curl.
 *
 * While a piece is read it belongs to that thread. curl may go back to the beginning meanwhile (a
 * redirect, a further attempt): that piece is forgotten then. */
#include "lib/fetch_file.h"

#include "core/offload.h"
#include "core/worker.h"
#include "lib/fetch_flow.h"
#include "lib/fetch_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fetch_file {
  struct offload offload;
  struct fetch_file *next; /* of the fetch */
  struct fetch *fetch;
  curl_mimepart *part;
  char *path;

  /* the reading thread's, while there is one */
  int fd; /* -1: not opened yet */
  uint64_t size, from;
  char *piece;
  size_t len;
  const char *problem; /* static text; NULL: none */

  bool is_open;  /* curl knows its size */
  bool is_stale; /* what is being read is of no use */
  uint64_t at;   /* behind the piece */
  size_t given;  /* of the piece */
};

/* ---- on the reading thread ---- */

static const char *name_error(int error) {
  return uv_strerror(uv_translate_sys_error(error));
}

/* Without waiting for who writes to a pipe: that is no file. */
static void open_file(struct fetch_file *file) {
  struct stat status;
  file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file->fd < 0 || fstat(file->fd, &status) != 0) {
    file->problem = name_error(errno);
  } else if (!S_ISREG(status.st_mode)) {
    file->problem = "it is no regular file";
  } else {
    file->size = (uint64_t)status.st_size;
    file->piece = memory_alloc(file->size < HTTP_PIECE_BYTES ? (size_t)file->size + 1
                                                             : (size_t)HTTP_PIECE_BYTES);
  }
}

static void read_piece(struct fetch_file *file) {
  uint64_t left = file->size - file->from;
  size_t want = left < HTTP_PIECE_BYTES ? (size_t)left : (size_t)HTTP_PIECE_BYTES;
  while (file->len < want) {
    ssize_t got =
        pread(file->fd, file->piece + file->len, want - file->len, (off_t)(file->from + file->len));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      file->problem = got < 0 ? name_error(errno) : "it has become shorter";
      return;
    }
    file->len += (size_t)got;
  }
}

static void run(struct offload *offload) {
  struct fetch_file *file = container_of(offload, struct fetch_file, offload);
  if (file->fd < 0) open_file(file);
  if (!file->problem) read_piece(file);
}

/* ---- reading on ---- */

/* A piece has come. */
static void take(struct fetch_file *file) {
  if (file->is_stale) file->len = 0;
  file->is_stale = false;
  file->at += file->len;
}

static void read_on(struct fetch_file *file) {
  file->from = file->at;
  file->len = file->given = 0;
  offload_start(&file->offload, file->fetch->pool->worker);
  if (!file->offload.running) take(file);
}

static bool is_used_up(const struct fetch_file *file) {
  return file->given == file->len && file->at < file->size;
}

/* curl's read callback */
static size_t give(char *out, size_t size, size_t count, void *context) {
  struct fetch_file *file = context;
  struct fetch *fetch = file->fetch;
  size_t room = size * count;
  if (!file->offload.running && !file->problem && is_used_up(file)) read_on(file);
  if (file->offload.running) {
    fetch->wants_file = true;
    return CURL_READFUNC_PAUSE;
  }
  if (file->problem) return CURL_READFUNC_ABORT;
  size_t left = file->len - file->given, len = left < room ? left : room;
  if (len > 0) memcpy(out, file->piece + file->given, len);
  file->given += len;
  if (is_used_up(file)) read_on(file);
  return len;
}

/* curl's seek callback: to the beginning, nowhere else. */
static int rewind_file(void *context, curl_off_t offset, int origin) {
  struct fetch_file *file = context;
  if (origin != SEEK_SET || offset != 0) return CURL_SEEKFUNC_CANTSEEK;
  bool is_at_first = !file->offload.running && file->at == file->len;
  file->is_stale = file->offload.running;
  file->given = 0;
  if (is_at_first) return CURL_SEEKFUNC_OK;
  file->at = 0;
  if (!file->offload.running) file->len = 0;
  return CURL_SEEKFUNC_OK;
}

/* ---- opening ---- */

static bool note_open(struct fetch_file *file) {
  file->is_open = !file->problem && !curl_mime_data_cb(file->part, (curl_off_t)file->size, give,
                                                       rewind_file, NULL, file);
  if (!file->is_open) fetch_end(file->fetch, CURLE_READ_ERROR);
  return file->is_open;
}

bool fetch_file_open_all(struct fetch *fetch) {
  for (struct fetch_file *file = fetch->files; file; file = file->next) {
    if (file->is_open) continue;
    if (!file->offload.running) read_on(file);
    if (file->offload.running || !note_open(file)) return false;
  }
  return true;
}

/* The thread has done its work. */
static void has_read(struct offload *offload) {
  struct fetch_file *file = container_of(offload, struct fetch_file, offload);
  struct fetch *fetch = file->fetch;
  take(file);
  if (!fetch->is_running) return;
  if (file->is_open)
    fetch_flow_go_on(fetch);
  else if (note_open(file) && fetch_file_open_all(fetch))
    fetch_pool_go(fetch);
}

/* ---- life ---- */

static void destroy(struct offload *offload) {
  struct fetch_file *file = container_of(offload, struct fetch_file, offload);
  if (file->fd >= 0) close(file->fd);
  free(file->piece);
  free(file->path);
  free(file);
}

void fetch_file_add(struct fetch *fetch, curl_mimepart *part, const char *path) {
  struct fetch_file *file = memory_alloc_zero(sizeof *file);
  offload_init(&file->offload, run, destroy);
  file->offload.ended = has_read;
  file->fetch = fetch;
  file->part = part;
  file->path = memory_copy(path, strlen(path));
  file->fd = -1;
  file->next = fetch->files;
  fetch->files = file;
}

const char *fetch_file_problem(const struct fetch *fetch, const char **path) {
  const struct fetch_file *file = fetch->files;
  while (file && (file->offload.running || !file->problem)) file = file->next;
  if (!file) return NULL;
  *path = file->path;
  return file->problem;
}

void fetch_file_drop_all(struct fetch *fetch) {
  struct fetch_file *file;
  while ((file = fetch->files)) {
    fetch->files = file->next;
    offload_drop(&file->offload);
  }
}
