/* hub.h - what all connections of one HTTP worker share.
 *
 * The hub holds limits, router, clock, spare memory and the list of connections that have output.
 * One worker turn: the loop's callbacks read and parse (handle is called from there and only
 * records), fibers respond, then hub_flush writes every connection's output with one system call
 * each. Everything here belongs to the worker's thread. */
#ifndef HTTP_HUB_H
#define HTTP_HUB_H

#include "base/base.h"
#include "base/buffer.h"
#include "base/list.h"
#include "core/metrics.h"
#include "core/timer.h"
#include "http/compress_job.h"
#include "http/date.h"
#include "http/encoded_cache.h"
#include "http/exchange.h"

#include <stdbool.h>
#include <uv.h>

struct log;
struct notice;
struct statics;

/* What a route asks of the reading of its requests. */
struct hub_route {
  uint64_t body_bytes_max; /* more: 413; HUB_ROUTE_DEFAULT: that of the limits */
  bool streams_body;       /* handled before its body has come */
};

#define HUB_ROUTE_DEFAULT UINT64_MAX

/* Statuses of the server's own answers that an app may want to be asked for: 400 to 599. */
#define HUB_STATUS_MIN   400
#define HUB_STATUS_COUNT 200

struct http_limits {
  struct request_limits head;
  uint64_t body_bytes_max;    /* more: 413 */
  uint32_t header_timeout_ms; /* from a request's first byte to the end of its head: 408 */
  uint32_t body_timeout_ms;   /* without a byte of the body: 408 */
  uint32_t idle_timeout_ms;   /* without a request: closed */
  uint32_t write_timeout_ms;  /* without the client taking a byte: closed */
  uint32_t connections_max;   /* more wait in the kernel's queue */
  uint32_t pipeline_max;      /* unanswered requests of one connection; more are not read */
  int backlog;                /* connections that one listening socket lets wait in the kernel */
};

/* Called from libuv's and llhttp's callbacks, from exchange_respond and from hub_flush. */
struct hub_calls {
  /* A complete request has found its route, or the head of one whose route streams bodies; or the
   * app is to be asked for an answer without a handler (exchange.status, answer.h). */
  void (*handle)(struct exchange *exchange);
  /* The connection was lost before the response: nobody will read it. exchange.connection is
   * NULL from now on. */
  void (*gone)(struct exchange *exchange);
  /* The client has ended its side before the response: it closed, or waits half-closed. The
   * response is still sent. Must not respond from inside. May be NULL. */
  void (*half_closed)(struct exchange *exchange);
  /* More of a streamed request body has come, or exchange.body has changed. May be NULL when no
   * route streams bodies. */
  void (*body)(struct exchange *exchange);
  /* A streamed response that exchange_write was refused for may go on. From hub_flush. */
  void (*drained)(struct exchange *exchange);
  /* The response was written out (exchange.delivered), or never will be. From libuv's callbacks
   * or hub_flush; not called once released. */
  void (*sent)(struct exchange *exchange);
  /* The hub drains: somebody else takes this idle connection over, or closes it. May be NULL: it
   * is closed here. */
  void (*hand_over)(struct hub *hub, int fd, bool is_unix);
};

struct hub_counts {
  uint64_t connections;    /* accepted */
  uint64_t accepts_paused; /* how often connections_max kept one waiting */
  uint64_t requests;       /* complete ones, given to handle or answered by the server */
  uint64_t refused;        /* answered by the server itself */
  uint64_t responses[6];   /* by the first digit of their status */
  uint64_t bytes_in, bytes_out;
  uint64_t accepts_failed; /* out of descriptors, mostly */
};

struct hub {
  uv_loop_t *loop;
  struct timers *timers;
  const struct http_limits *limits;
  const struct router *router;
  const struct hub_route *routes;  /* by match.route; NULL: all at their defaults */
  const bool *statuses;            /* from HUB_STATUS_MIN on: whether to ask the app; NULL: never */
  const struct policy *policy;     /* what is added to every response; NULL: nothing */
  bool compresses;                 /* responses, for clients that ask for it */
  const struct proxy_trust *trust; /* NULL: no proxy is */
  struct access_log *access_log;   /* NULL: there is none */
  struct hub_calls calls;
  void *owner;                   /* free for the worker's role */
  const struct log *log;         /* what goes wrong with files; NULL: nowhere */
  const struct statics *statics; /* files that are served where there is no route; may be NULL */
  const struct notice *notice;   /* a newer version of the app does not load; NULL: none */

  uint32_t connection_count; /* open ones, closing ones included */
  uint32_t exchange_count;   /* given to handle and not released */
  uint32_t file_count;       /* files that are looked for or sent, abandoned ones included */
  struct hub_counts counts;
  struct compress_jobs jobs;

  /* From here on for the files of http/ only. */
  bool _draining;
  bool _now_known;
  bool _flushing;
  uint64_t _flush_count;
  uint64_t _now_ns;        /* timers_now once per turn */
  uint64_t _date_until_ns; /* the date is right before this time */
  char _date[DATE_LEN];
  char *_input;                  /* INPUT_BYTES, shared by all reads */
  struct list _connections;      /* connection.link */
  struct list _dirty;            /* connection.dirty: something for hub_flush */
  struct list _ended;            /* exchange._link: lost, to report by calls.sent */
  struct list _paused_listeners; /* listener._link */
  struct list _spare_connections, _spare_exchanges;
  uint32_t _spare_connection_count, _spare_exchange_count, _spare_output_count;
  struct buffer *_spare_outputs;
  struct buffer _scratch;     /* a field being put together */
  struct buffer _block;       /* the fields of a response and the policy's */
  struct buffer _body;        /* a compressed body */
  struct buffer _noticed;     /* a page with the notice behind it */
  struct compress *_compress; /* for small bodies; NULL until one comes */
  struct encoded_cache _encoded_files;
};

/* [owner] A hub without connections. loop, timers, limits and router must outlive it. */
void hub_init(struct hub *hub, uv_loop_t *loop, struct timers *timers,
              const struct http_limits *limits, const struct router *router,
              const struct hub_calls *calls);

/* [owner] Frees the spare memory; no connection, exchange or job may be left. Accepts a zeroed
 * struct. */
void hub_finish(struct hub *hub);

/* [owner] Writes what the turn has produced, one write per connection, then calls `sent`; also
 * makes the next turn look at the clock again. Call it once at the end of each turn, before the
 * loop may sleep; calls may have made fibers ready. */
void hub_flush(struct hub *hub);

/* [owner] Starts the end: closes idle connections, lets busy ones answer with Connection: close.
 * Done when connection_count is 0. May be called twice. */
void hub_drain(struct hub *hub);

/* [owner] Closes every connection at once; `gone` and `sent` are called for what they carried. The
 * loop must run until connection_count is 0. */
void hub_close_all(struct hub *hub);

/* [owner] Publishes what the hub has counted. */
void hub_publish(const struct hub *hub, struct metrics *metrics);

/* [owner] The time of this turn on the hub's clock, in nanoseconds. */
uint64_t hub_now(struct hub *hub);

/* [owner] The Date field's value, right to the second. */
struct slice hub_date(struct hub *hub);

#endif
