/* connection.h - one client's connection: its socket, parser, timer and exchanges.
 *
 * Inside http/ only; the rest of the program knows hubs and exchanges. Input goes through
 * reader.c, output through output.c, this file opens, times and closes. A connection is closed when
 * its client leaves, after its last response, by a timeout, or by the hub; its exchanges are then
 * detached from it and live on. */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include "base/address.h"
#include "base/base.h"
#include "base/buffer.h"
#include "base/list.h"
#include "core/timer.h"
#include "http/chunk_lines.h"
#include "http/exchange.h"
#include "http/hub.h"

#include <llhttp.h>
#include <stdbool.h>
#include <uv.h>

struct output_write;

struct connection {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } io;
  struct hub *hub;
  struct timer timer;
  struct list link;  /* hub._connections or hub._spare_connections */
  struct list dirty; /* hub._dirty */

  llhttp_t parser;
  struct exchange *incoming; /* the request that is being read */
  struct exchange *streamed; /* the last pending request, handed out while its body comes */
  struct buffer rest;        /* input that waits while reading is paused */
  uint64_t dropped_bytes;    /* input that came after the last request */
  const char *unread;        /* first byte of the input that nobody has accounted for */
  const char *input_end;     /* both only while the input is parsed */
  uint32_t empty_bytes;      /* of empty lines before a request */
  uint32_t amended_bytes;    /* of the head that is read */
  struct chunk_lines chunk_lines;
  int refusal;       /* set by a callback of the parser: the status to refuse with */
  uint64_t since_ns; /* idle or lingering: since when; else when the head began, or the last byte
                        of the body came */

  struct list pending; /* exchange._link: responses not in the output yet, in order of requests */
  struct list unsent;  /* exchange._link: in the output, owners wait for hub.sent */
  uint32_t pending_count;
  struct buffer out;            /* for the next write */
  struct output_write *writing; /* what the kernel has not taken yet */
  struct file *sending;         /* the first response's, once its head is in the output */
  uint64_t file_flush;          /* the hub's flush in which a file was sent last */
  size_t file_flush_bytes;      /* and what was sent in it */
  uint64_t written_bytes;       /* all the kernel has taken */
  size_t unread_bytes;          /* output_unread, as last seen by the timer */
  uint64_t write_since_ns;      /* when that was last less than before */

  char peer[ADDRESS_TEXT_BYTES]; /* the client's address as text, once it is known */
  bool peer_known;

  bool head_done;      /* of `incoming` */
  bool method_unknown; /* of `incoming`: 501 or 400, once it has ended */
  bool continue_due;   /* 100 Continue is to be written once it is its turn */
  bool paused;         /* too much unanswered or unwritten: nothing is read or parsed */
  bool clogged;        /* too much of a streamed body is not taken yet: nothing is read */
  bool last_read;      /* no request after the pending ones is looked at */
  bool ended;          /* the client has ended its side */
  bool lingering;      /* our side has ended: input is dropped until the client's ends */
  bool closed;
};

/* [owner] Takes an accepted TCP or Unix socket into the hub; closes it on error. */
uv_err connection_adopt(struct hub *hub, int fd, bool is_unix);

/* [owner] Writes the output, goes on with input that waited, ends what is finished. */
void connection_flush(struct connection *connection);

/* [owner] The hub drains: closes an idle connection, lets others answer and close. */
void connection_drain(struct connection *connection);

/* [owner] Closes at once; detaches the exchanges. Harmless on a closed one. */
void connection_close(struct connection *connection);

/* [owner] As connection_close, in a way that the client sees as an error (RST). */
void connection_reset(struct connection *connection);

/* [owner] A streamed body has been taken: the client may send more. */
void connection_unclog(struct connection *connection);

/* [owner] The address of the other end as text: exchange_peer. */
const char *connection_peer(struct connection *connection);

/* [owner] Puts the connection on the hub's list for hub_flush. */
void connection_touch(struct connection *connection);

#endif
