/* serve.h - the HTTP server that floor.c and bare.c share: libuv and llhttp, one thread, nothing
 * else.
 *
 * Each read batch costs one read and one write: a complete request calls the program's answer
 * function, which appends to `output`, and the batch's answers leave together. Every request is
 * answered alike, nothing of it is kept. No timeouts, no limits on clients, no clean shutdown: it
 * measures what the libraries cost, it is not a server to use. */
#ifndef BENCH_SERVE_H
#define BENCH_SERVE_H

#include "base/base.h"
#include "base/buffer.h"

#include <llhttp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

/* How an answer starts; serve_run puts the date over the letters. */
#define SERVE_STATUS  "HTTP/1.1 200 OK\r\n"
#define SERVE_DATE    "Day, 00 Mon 0000 00:00:00 GMT"
#define SERVE_TO_DATE SERVE_STATUS "Date: "
#define SERVE_HEAD    SERVE_TO_DATE SERVE_DATE "\r\n"

enum {
  INPUT_BYTES = 64 * 1024, /* one read; a longer pipeline is answered in several batches */
  BACKLOG_CONNECTIONS = 1024,
  SECOND_MS = 1000,
  SECOND_NS = 1000 * 1000 * 1000,
};

struct server {
  /* Appends one answer to `output`. 0, or -1: the connection is closed. */
  int (*answer)(struct server *server);
  struct buffer head;   /* filled by the program; starts with SERVE_HEAD */
  struct slice tail;    /* may be filled too: follows each batch's answers, is never copied */
  struct buffer output; /* the answers of the read batch at hand */
  uint64_t date_until_ms;
  llhttp_settings_t settings;
  uv_loop_t loop;
  uv_tcp_t listener;
  char input[INPUT_BYTES];
};

struct client {
  uv_tcp_t tcp;
  llhttp_t parser;
  struct server *server;
  bool last; /* closed when the answers at hand are out */
  uv_write_t write;
  char *rest; /* what the socket did not take at once; NULL when nothing waits */
};

static void release_client(uv_handle_t *handle) {
  struct client *client = handle->data;
  free(client->rest);
  free(client);
}

static void close_client(struct client *client) {
  uv_handle_t *handle = (uv_handle_t *)&client->tcp;
  if (!uv_is_closing(handle)) uv_close(handle, release_client);
}

static void lend_input(uv_handle_t *handle, size_t suggested_bytes, uv_buf_t *buf) {
  struct client *client = handle->data;
  (void)suggested_bytes;
  *buf = uv_buf_init(client->server->input, INPUT_BYTES);
}

/* Writes the date over the head's when a second has passed; the loop's clock tells. */
static void refresh_date(struct server *server) {
  uint64_t now_ms = uv_now(&server->loop);
  if (now_ms < server->date_until_ms) return;
  struct timespec now;
  struct tm parts;
  char date[sizeof(SERVE_DATE)];
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  memcpy(server->head.data + strlen(SERVE_TO_DATE), date, strlen(SERVE_DATE));
  uint64_t left_ns = (uint64_t)(SECOND_NS - now.tv_nsec);
  server->date_until_ms = now_ms + left_ns * SECOND_MS / SECOND_NS + 1;
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf);

static void on_rest_written(uv_write_t *write, int status) {
  struct client *client = write->data;
  free(client->rest);
  client->rest = NULL;
  if (status != 0 || client->last ||
      uv_read_start((uv_stream_t *)&client->tcp, lend_input, on_read) != 0) {
    close_client(client);
  }
}

/* The client reads slowly: what it has not taken waits, and nothing more is read until it left. */
static void write_rest(struct client *client, struct slice answers, struct slice tail) {
  uv_stream_t *stream = (uv_stream_t *)&client->tcp;
  uv_read_stop(stream);
  client->rest = memory_copy(answers.data, answers.len);
  uv_buf_t bufs[] = {uv_buf_init(client->rest, (unsigned)answers.len),
                     uv_buf_init((char *)tail.data, (unsigned)tail.len)};
  if (uv_write(&client->write, stream, bufs, tail.len ? 2 : 1, on_rest_written) != 0)
    close_client(client);
}

static struct slice skip(struct slice bytes, size_t count) {
  return (struct slice){bytes.data + count, bytes.len - count};
}

static void write_output(struct client *client, const struct buffer *output) {
  struct slice answers = {output->data, output->len}, tail = client->server->tail;
  uv_buf_t bufs[] = {uv_buf_init(output->data, (unsigned)output->len),
                     uv_buf_init((char *)tail.data, (unsigned)tail.len)};
  int written = uv_try_write((uv_stream_t *)&client->tcp, bufs, tail.len ? 2 : 1);
  if (written < 0 && written != UV_EAGAIN) {
    close_client(client);
    return;
  }
  size_t taken = written < 0 ? 0 : (size_t)written;
  size_t of_answers = taken < answers.len ? taken : answers.len;
  if (taken < answers.len + tail.len) {
    write_rest(client, skip(answers, of_answers), skip(tail, taken - of_answers));
  } else if (client->last) {
    close_client(client);
  }
}

static int on_message_complete(llhttp_t *parser) {
  struct client *client = parser->data;
  if (!llhttp_should_keep_alive(parser)) client->last = true;
  return client->server->answer(client->server);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf) {
  struct client *client = stream->data;
  struct server *server = client->server;
  if (count == 0) return;
  if (count < 0) {
    close_client(client);
    return;
  }
  refresh_date(server);
  if (llhttp_execute(&client->parser, buf->base, (size_t)count) != HPE_OK) client->last = true;
  if (server->output.len > 0) {
    write_output(client, &server->output);
    buffer_clear(&server->output);
  } else if (client->last) {
    close_client(client);
  }
}

static void on_connection(uv_stream_t *listener, int status) {
  struct server *server = listener->data;
  if (status != 0) return;
  struct client *client = memory_alloc_zero(sizeof(*client));
  client->server = server;
  client->tcp.data = client;
  client->write.data = client;
  llhttp_init(&client->parser, HTTP_REQUEST, &server->settings);
  client->parser.data = client;
  uv_tcp_init(&server->loop, &client->tcp);
  if (uv_accept(listener, (uv_stream_t *)&client->tcp) != 0 ||
      uv_tcp_nodelay(&client->tcp, 1) != 0 ||
      uv_read_start((uv_stream_t *)&client->tcp, lend_input, on_read) != 0) {
    close_client(client);
  }
}

static uv_err listen_on(struct server *server, int port) {
  struct sockaddr_in address;
  uv_err err = uv_ip4_addr("127.0.0.1", port, &address);
  if (err == 0) err = uv_tcp_init(&server->loop, &server->listener);
  if (err == 0) err = uv_tcp_bind(&server->listener, (const struct sockaddr *)&address, 0);
  server->listener.data = server;
  if (err != 0) return err;
  return uv_listen((uv_stream_t *)&server->listener, BACKLOG_CONNECTIONS, on_connection);
}

/* [owner] Serves 127.0.0.1:`port` until a signal ends the process. `server` is zeroed but for
 * `answer` and `head`, and stays the caller's. Returns only with an error, when it cannot listen.
 */
static uv_err serve_run(struct server *server, int port) {
  signal(SIGPIPE, SIG_IGN); /* a client that leaves inside an answer */
  llhttp_settings_init(&server->settings);
  server->settings.on_message_complete = on_message_complete;
  uv_err err = uv_loop_init(&server->loop);
  if (err == 0) err = listen_on(server, port);
  if (err == 0) err = uv_run(&server->loop, UV_RUN_DEFAULT);
  return err;
}

/* [any thread] The port that `text` names, or 0 where it names none. */
static int serve_port(const char *text) {
  enum { BASE = 10, PORT_MAX = 65535 };
  char *end;
  long port = strtol(text, &end, BASE);
  return *end == '\0' && port > 0 && port <= PORT_MAX ? (int)port : 0;
}

#endif
