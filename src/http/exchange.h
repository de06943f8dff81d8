/* exchange.h - one request and its response.
 *
 * Whoever gets an exchange by hub.handle owns it until exchange_release, which must come exactly
 * once: after exchange_respond, or, when hub.gone was called for it, with no response at all. Until
 * then request and match stay, even when the connection is long gone. Responses may come in any
 * order; they leave in the order of the requests, when hub_flush runs. Then hub.sent is called,
 * unless it was released before; for a client that had gone with delivered false. respond and
 * release may be called inside handle, release inside gone and sent. */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include "base/base.h"
#include "base/buffer.h"
#include "base/list.h"
#include "http/policy.h"
#include "http/proxy.h"
#include "http/request.h"
#include "http/response.h"
#include "http/router.h"

#include <stdbool.h>

struct hub;
struct connection;
struct file;

enum exchange_state {
  EXCHANGE_READING,  /* the request is coming in; not shown to anyone */
  EXCHANGE_HANDLED,  /* given to hub.handle, no response yet */
  EXCHANGE_ENCODING, /* its response is being compressed elsewhere */
  EXCHANGE_STREAMED, /* its response has begun: in the output, or in `answer` behind earlier ones */
  EXCHANGE_SENDING,  /* its response is a file: looked for, or on its way (http/file.h) */
  EXCHANGE_ANSWERED, /* its response waits in `answer` for earlier ones */
  EXCHANGE_QUEUED,   /* its response is in the connection's output */
  EXCHANGE_ENDED     /* written, or lost with the connection */
};

enum exchange_body {
  EXCHANGE_BODY_WHOLE,  /* all of it is in the request, or has been taken out by exchange_read */
  EXCHANGE_BODY_COMING, /* the rest is still on its way */
  EXCHANGE_BODY_BROKEN  /* the rest will not come: exchange.body_status */
};

#define EXCHANGE_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

/* The length of a streamed response that nobody knows beforehand. */
#define EXCHANGE_LENGTH_UNKNOWN UINT64_MAX

#define EXCHANGE_NOT_BEGUN UINT64_MAX

struct exchange {
  struct request request;
  struct match match; /* the route and its parameters; points into the request */
  void *owner;        /* free for the one that handles it; NULL at first */
  struct hub *hub;
  struct connection *connection; /* NULL once the client is gone */
  int status; /* 0; else no handler: the app is asked for what to answer with it (answer.h) */
  enum exchange_state state;
  int response_status; /* 0: none yet */
  uint64_t id;         /* of the request, for the access log; 0: no handler is asked */
  bool delivered;      /* in hub.sent: the response was written out to the end */
  enum exchange_body body;
  bool clogged;           /* streamed: nothing should be written before hub.drained */
  bool has_streamed_body; /* its body is taken by exchange_read only */
  int body_status;        /* BROKEN: what the client did wrong (400, 408, 413), 0: it has left */

  enum match_result _matched;
  bool _released, _closes;
  bool _chunked, _bodiless, _until_close; /* streamed: how its body is written */
  bool _is_noticed;                       /* streamed: the hub's notice comes behind the body */
  bool _continue_due;    /* 100 Continue is to be sent when the body is first asked for */
  uint64_t _body_bytes;  /* of a body that is streamed or dropped: what has come */
  uint64_t _length_left; /* of a streamed response of known length */
  struct list _link; /* connection.pending, connection.unsent, hub._ended or hub._spare_exchanges */
  struct buffer _answer;
  struct file *_file; /* SENDING */
  uint64_t _end;      /* queued: where the response ends in all bytes of the connection's output */

  uint64_t _start;      /* where it begins there; EXCHANGE_NOT_BEGUN: not in the output yet */
  size_t _head_bytes;   /* of the response */
  uint64_t _sent_bytes; /* of its body, by the time the connection was lost */
  uint64_t _began_ns;   /* when the request's first byte was read; for the access log only */
  char _peer[ADDRESS_TEXT_BYTES]; /* kept from a lost connection */

  struct policy_coding _coding;        /* of the response */
  struct compress_job *_job;           /* ENCODING */
  struct compress_stream *_compressor; /* of a streamed response; NULL: not compressed */
  uint64_t _plain_bytes;               /* that it has taken since its writer last waited */
};

/* [owner] Answers. Bytes are copied before it returns; they leave in hub_flush at the earliest. A
 * response to a client that has gone is dropped and reported by hub.sent (delivered = false). */
void exchange_respond(struct exchange *exchange, const struct response *response);

/* [owner] Answers {"detail": reason phrase} as application/json, with further encoded fields (may
 * be empty); what the server itself says: 404, 413, 500, 503. */
void exchange_respond_status(struct exchange *exchange, int status, struct slice block);

/* [owner] Starts a streamed response, one whose body is made bit by bit, with its head and
 * response.body, which may be empty. `length` is that of the whole body, or
 * EXCHANGE_LENGTH_UNKNOWN: then it is chunked, or ends with the connection for an HTTP/1.0 client.
 */
void exchange_begin(struct exchange *exchange, const struct response *response, uint64_t length);

/* [owner] Adds to a streamed response; bytes are copied. False when the client is slow: nothing
 * is lost, but hub.drained should be awaited before more is written. After the client has gone
 * bytes are dropped. */
bool exchange_write(struct exchange *exchange, const char *data, size_t len);

/* [owner] The streamed response is complete. */
void exchange_end(struct exchange *exchange);

/* [owner] The streamed response cannot be completed: the connection is closed so that the client
 * can tell (RFC 9112 section 8). */
void exchange_cut(struct exchange *exchange);

/* [owner] Takes what has come of a body that is streamed and is not taken yet: appended to `out`.
 * With none there and exchange.body COMING, hub.body will tell. Lets the client send more. */
void exchange_read(struct exchange *exchange, struct buffer *out);

/* [owner] Ends the owner's use; the memory may be reused at once. hub.sent is not called for it
 * any more. */
void exchange_release(struct exchange *exchange);

/* [owner] Whether the client has ended its side or is gone. */
bool exchange_has_left(const struct exchange *exchange);

/* [owner] The IP address of the connection's other end, "unix:" for a Unix socket; "" when it left
 * before anybody asked. Valid while the client is there, or the exchange. */
const char *exchange_peer(const struct exchange *exchange);

/* [owner] The client behind the trusted proxies of the hub; without any it is the peer. Valid as
 * long as the peer and the request are. */
void exchange_find_client(const struct exchange *exchange, struct proxy_client *out);

/* For the files of http/ only. [owner] An exchange in state READING on a connection; and one that
 * nobody knows any more, given back with its memory. */
struct exchange *exchange_take(struct hub *hub, struct connection *connection);
void exchange_recycle(struct exchange *exchange);

/* For the files of http/ only. [owner] The response's body is compressed now. */
void exchange_finish_encoding(struct exchange *exchange, const struct response *response);

/* For the files of http/ only. [owner] The response will be a file: from now on the exchange is the
 * file's too, and may be released. False when the client has gone; that is reported. */
bool exchange_hand_over(struct exchange *exchange, struct file *file);

/* For the files of http/ only. [owner] The file is out of it: exchange_respond may be called. With
 * `is_owned` the caller becomes the owner of an exchange that had been released. */
void exchange_take_back(struct exchange *exchange, bool is_owned);

/* For the files of http/ only. [owner] Writes the head of the response that the file sends, whose
 * turn it is; then, all of its `length` bytes being in the output or the kernel, ends it. The
 * length of what is not sent, for HEAD, may be EXCHANGE_LENGTH_UNKNOWN. */
void exchange_begin_file(struct exchange *exchange, const struct response *response,
                         uint64_t length);
void exchange_end_file(struct exchange *exchange);

/* For the files of http/ only. [owner] Whether it is this exchange's turn to write. */
bool exchange_is_first(const struct exchange *exchange);

/* For the files of http/ only. [owner] The response has been written to its end, or never will be:
 * logs it, and tells the owner or recycles. The exchange is on no list. */
void exchange_settle(struct exchange *exchange, bool is_delivered);

/* For the files of http/ only. [owner] The connection is lost: reports it, or recycles. The
 * exchange is on no list. */
void exchange_detach(struct exchange *exchange);

#endif
