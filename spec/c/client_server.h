/* client_server.h - the server that client_spec.c talks to: blocking sockets, canned answers.
 *
 * One thread accepts, each connection has its own. The path of a request chooses the answer;
 * requests are counted, and /never remembers that its client has left. Included by one spec file,
 * so everything is static. */
#ifndef SPEC_CLIENT_SERVER_H
#define SPEC_CLIENT_SERVER_H

#include "base/base.h"

#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  SERVER_CONNECTIONS_MAX = 512,
  SERVER_REQUEST_BYTES_MAX = 4096,
  SERVER_CROWD = 100, /* /crowd answers once that many wait for it */
  SERVER_BIG_PIECE = 1024 * 1024
};

struct server {
  int fd;
  int port;
  pthread_t thread;
  pthread_t connections[SERVER_CONNECTIONS_MAX];
  _Atomic(int) connection_count;
  _Atomic(int) requests; /* whose head has come */
  _Atomic(int) deserted; /* clients of /never that have left */
  pthread_barrier_t crowd;
};

struct visit {
  struct server *server;
  int fd;
  int number; /* of the connection, from 1 */
  char request[SERVER_REQUEST_BYTES_MAX];
  size_t len;
};

static const struct {
  const char *path, *answer;
} canned[] = {
    {"/hello", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-A: 1\r\nx-a:  2 \r\n"
               "Set-Cookie: a=1; Expires=Mon, 1 Jan\r\nSet-Cookie: b=2\r\nX-Folded: one\r\n two\r\n"
               "X-Empty:\r\nContent-Length: 5\r\n\r\nHello"},
    {"/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
                 "3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-T: late\r\n\r\n"},
    {"/early", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
               "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
    {"/redirect",
     "HTTP/1.1 302 Found\r\nLocation: /hello\r\nX-Old: 1\r\nContent-Length: 3\r\n\r\nold"},
    {"/found", "HTTP/1.1 302 Found\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n"},
    {"/other", "HTTP/1.1 303 See Other\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n"},
    {"/same", "HTTP/1.1 307 Temporary Redirect\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n"},
    {"/loop", "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"},
    {"/file", "HTTP/1.1 302 Found\r\nLocation: file:///etc/hostname\r\nContent-Length: 0\r\n\r\n"},
    {"/json", "HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{\"a\":[1,2.0],\"b\":null}"},
    {"/missing", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"},
    {"/nothing", "HTTP/1.1 204 No Content\r\n\r\n"},
    {"/head", "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"},
    {"/junk", "no HTTP at all\r\n\r\n"},
};

static void server_write(struct visit *visit, const char *data, size_t len) {
  while (len > 0) {
    ssize_t written = send(visit->fd, data, len, MSG_NOSIGNAL);
    if (written <= 0) return;
    data += written;
    len -= (size_t)written;
  }
}

static void server_write_text(struct visit *visit, const char *text) {
  server_write(visit, text, strlen(text));
}

static void server_answer_body(struct visit *visit, const char *body, size_t len) {
  char head[64];
  snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
  server_write_text(visit, head);
  server_write(visit, body, len);
}

/* Reads one request, body included; false when the client has left. */
static bool server_read(struct visit *visit) {
  size_t want = 0;
  visit->len = 0;
  for (;;) {
    visit->request[visit->len] = '\0';
    const char *end = strstr(visit->request, "\r\n\r\n");
    if (end && want == 0) {
      const char *length = strcasestr(visit->request, "content-length:");
      want = (size_t)(end - visit->request) + 4;
      if (length && length < end) want += (size_t)strtoul(length + 15, NULL, 10);
    }
    if (want > 0 && visit->len >= want) return true;
    size_t room = sizeof visit->request - 1 - visit->len;
    ssize_t got = recv(visit->fd, visit->request + visit->len, room, 0);
    if (got <= 0) return false;
    visit->len += (size_t)got;
  }
}

static bool server_is_path(const struct visit *visit, const char *path) {
  const char *space = strchr(visit->request, ' ');
  size_t len = strlen(path);
  return space && strncmp(space + 1, path, len) == 0 && strchr(" ?", space[1 + len]);
}

/* Sends more than anybody takes. */
static void server_answer_big(struct visit *visit) {
  static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
  char *piece = memory_alloc_zero(SERVER_BIG_PIECE);
  server_write_text(visit, head);
  for (int i = 0; i < 66; i++) server_write(visit, piece, SERVER_BIG_PIECE);
  free(piece);
}

static void server_answer_big_head(struct visit *visit) {
  server_write_text(visit, "HTTP/1.1 200 OK\r\n");
  for (int i = 0; i < 300; i++) {
    char line[1100];
    snprintf(line, sizeof line, "X-%d: %01000d\r\n", i, i);
    server_write_text(visit, line);
  }
  server_write_text(visit, "Content-Length: 0\r\n\r\n");
}

/* Gives false when the connection is to be closed. */
static bool server_answer(struct visit *visit) {
  char text[32];
  for (size_t i = 0; i < array_len(canned); i++) {
    if (!server_is_path(visit, canned[i].path)) continue;
    server_write_text(visit, canned[i].answer);
    return strcmp(canned[i].path, "/junk") != 0;
  }
  if (server_is_path(visit, "/echo")) {
    server_answer_body(visit, visit->request, visit->len);
  } else if (server_is_path(visit, "/connection")) {
    snprintf(text, sizeof text, "%d", visit->number);
    server_answer_body(visit, text, strlen(text));
  } else if (server_is_path(visit, "/crowd")) {
    pthread_barrier_wait(&visit->server->crowd);
    server_answer_body(visit, "all", 3);
  } else if (server_is_path(visit, "/cut")) {
    server_write_text(visit, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    return false;
  } else if (server_is_path(visit, "/big")) {
    server_answer_big(visit);
    return false;
  } else if (server_is_path(visit, "/big-head")) {
    server_answer_big_head(visit);
  } else {
    char byte;
    while (recv(visit->fd, &byte, 1, 0) > 0) continue;
    atomic_fetch_add(&visit->server->deserted, 1);
    return false;
  }
  return true;
}

static void *server_serve(void *context) {
  struct visit *visit = context;
  while (server_read(visit)) {
    atomic_fetch_add(&visit->server->requests, 1);
    if (!server_answer(visit)) break;
  }
  shutdown(visit->fd, SHUT_RDWR);
  close(visit->fd);
  free(visit);
  return NULL;
}

static void *server_accept(void *context) {
  struct server *server = context;
  for (;;) {
    int fd = accept(server->fd, NULL, NULL);
    if (fd < 0) return NULL;
    int number = atomic_load(&server->connection_count);
    assert(number < SERVER_CONNECTIONS_MAX);
    struct visit *visit = memory_alloc_zero(sizeof *visit);
    visit->server = server;
    visit->fd = fd;
    visit->number = number + 1;
    pthread_create(&server->connections[number], NULL, server_serve, visit);
    atomic_store(&server->connection_count, number + 1);
  }
}

/* A listening socket on a free loopback port. */
static int server_listen(int backlog, int *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int bad = bind(fd, (struct sockaddr *)&address, len);
  if (!bad) bad = listen(fd, backlog);
  if (!bad) bad = getsockname(fd, (struct sockaddr *)&address, &len);
  assert(!bad);
  *port = ntohs(address.sin_port);
  return fd;
}

static void server_start(struct server *server) {
  memset(server, 0, sizeof *server);
  server->fd = server_listen(SERVER_CONNECTIONS_MAX, &server->port);
  pthread_barrier_init(&server->crowd, NULL, SERVER_CROWD);
  pthread_create(&server->thread, NULL, server_accept, server);
}

/* Every client has closed its connections. */
static void server_stop(struct server *server) {
  shutdown(server->fd, SHUT_RDWR);
  pthread_join(server->thread, NULL);
  for (int i = 0; i < atomic_load(&server->connection_count); i++)
    pthread_join(server->connections[i], NULL);
  close(server->fd);
  pthread_barrier_destroy(&server->crowd);
}

#endif
