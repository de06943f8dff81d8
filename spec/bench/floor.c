/* floor.c - the least that an HTTP server on libuv and llhttp costs: `floor PORT text|json`.
 *
 * Answers every request with the same bytes, those that Perilune sends for the same workload;
 * only the date changes, once a second. No Lua, no routes. What Perilune costs is given as a
 * multiple of this (spec/bench/run). */
#include "serve.h"

#include <stdio.h>

#define TEXT_ANSWER                                                                                \
  SERVE_HEAD "Content-Type: text/plain; charset=utf-8\r\n"                                         \
             "Content-Length: 13\r\n\r\n"                                                          \
             "Hello, World!"
#define JSON_ANSWER                                                                                \
  SERVE_HEAD "Content-Type: application/json\r\n"                                                  \
             "Content-Length: 27\r\n\r\n"                                                          \
             "{\"message\":\"Hello, World!\"}"

static int answer(struct server *server) {
  buffer_add(&server->output, server->head.data, server->head.len);
  return 0;
}

int main(int argc, char **argv) {
  int port = argc == 3 ? serve_port(argv[1]) : 0;
  bool json = argc == 3 && strcmp(argv[2], "json") == 0;
  if (port == 0 || (!json && strcmp(argv[2], "text") != 0)) {
    fprintf(stderr, "usage: floor PORT text|json\n");
    return EXIT_FAILURE;
  }
  struct server *server = memory_alloc_zero(sizeof(*server));
  server->answer = answer;
  buffer_add_text(&server->head, json ? JSON_ANSWER : TEXT_ANSWER);
  uv_err err = serve_run(server, port);
  fprintf(stderr, "floor: port %d: %s\n", port, uv_strerror(err));
  return EXIT_FAILURE;
}
