/* floor.c - the least that an HTTP server on libuv and llhttp costs: `floor PORT text|json|file
 * [PATH]`; `file` answers with the file at PATH, mapped into memory and written from there.
 *
 * Answers every request with the same bytes, those that Perilune sends for the same workload;
 * only the date changes, once a second. No Lua, no routes. What Perilune costs is given as a
 * multiple of this (spec/bench/run). */
#include "serve.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_ANSWER                                                                                \
  SERVE_HEAD "Content-Type: text/plain; charset=utf-8\r\n"                                         \
             "Content-Length: 13\r\n\r\n"                                                          \
             "Hello, World!"
#define JSON_ANSWER                                                                                \
  SERVE_HEAD "Content-Type: application/json\r\n"                                                  \
             "Content-Length: 27\r\n\r\n"                                                          \
             "{\"message\":\"Hello, World!\"}"
#define FILE_HEAD SERVE_HEAD "Content-Type: application/octet-stream\r\n"

static int answer(struct server *server) {
  buffer_add(&server->output, server->head.data, server->head.len);
  return 0;
}

/* Maps the file and makes it what follows each head. False when that cannot be. */
static bool map_file(struct server *server, const char *path) {
  struct stat facts;
  int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &facts) != 0) return false;
  size_t len = (size_t)facts.st_size;
  void *data = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (data == MAP_FAILED) return false;
  server->tail = (struct slice){data, len};
  buffer_printf(&server->head, FILE_HEAD "Content-Length: %zu\r\n\r\n", len);
  return true;
}

/* Fills in what is answered; false when the workload is none. */
static bool prepare(struct server *server, const char *workload, const char *path) {
  if (strcmp(workload, "file") == 0) return path && map_file(server, path);
  bool json = strcmp(workload, "json") == 0;
  if (!json && strcmp(workload, "text") != 0) return false;
  buffer_add_text(&server->head, json ? JSON_ANSWER : TEXT_ANSWER);
  return true;
}

int main(int argc, char **argv) {
  int port = argc >= 3 ? serve_port(argv[1]) : 0;
  struct server *server = memory_alloc_zero(sizeof(*server));
  server->answer = answer;
  if (port == 0 || !prepare(server, argv[2], argv[3])) {
    fprintf(stderr, "usage: floor PORT text|json|file [PATH]\n");
    return EXIT_FAILURE;
  }
  uv_err err = serve_run(server, port);
  fprintf(stderr, "floor: port %d: %s\n", port, uv_strerror(err));
  return EXIT_FAILURE;
}
