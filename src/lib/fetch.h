/* fetch.h - one HTTP request on its way through curl, and what came back.
 *
 * Callbacks of curl and timers record into the fetch and wake its ticket; nothing here touches Lua.
 * All limits of time are timers of the worker's real clock. The request is made by fetch_setup.h,
 * bodies flow by fetch_flow.h, several fetches at once are fetch_pool.h's. */
#ifndef LIB_FETCH_H
#define LIB_FETCH_H

#include "base/buffer.h"
#include "base/limits.h"
#include "base/list.h"
#include "core/fiber.h"
#include "core/timer.h"

#include <curl/curl.h>
#include <stdbool.h>

struct fetch_file;
struct fetch_pool;
struct opened;

enum fetch_body {
  FETCH_BODY_NONE,
  FETCH_BODY_BYTES,  /* fetch.sent, which may be empty */
  FETCH_BODY_PIECES, /* that come one by one: fetch_flow_give */
  FETCH_BODY_PARTS,  /* fetch.parts */
};

/* What a request is made of, besides its URL, headers and body. */
struct fetch_request {
  char method[HTTP_METHOD_BYTES_MAX + 1]; /* upper case */
  enum fetch_body body;
  int64_t pieces_bytes; /* of all pieces together; -1: unknown, sent chunked */
  long redirects_max;   /* 0: none is followed */
  bool stream;          /* the response's body is taken while it comes */
  uint64_t timeout_ns;  /* from the start to the last byte; of a stream to the end of its head */
  uint64_t connect_timeout_ns;
  uint64_t idle_timeout_ns; /* without a byte in either direction; 0: none */
  uint64_t body_bytes_max;  /* of the response */
};

enum fetch_outcome { FETCH_PENDING, FETCH_ENDED, FETCH_TIMED_OUT };
enum fetch_limit { FETCH_LIMIT_TOTAL, FETCH_LIMIT_CONNECT, FETCH_LIMIT_IDLE };

/* Zeroed before. */
struct fetch {
  struct list link;        /* fetch_pool.fetches or .waiting */
  struct fetch_pool *pool; /* NULL unless it is on one of them */
  bool is_running;         /* on the first: its turn has come */
  CURL *easy;
  struct fetch_request request;
  char *url;                  /* owned by curl's allocator */
  struct buffer label;        /* method and URL without secrets, for messages; terminated */
  struct curl_slist *headers; /* to send */
  curl_mime *parts;           /* to send */
  struct fetch_file *files;   /* of parts */

  struct buffer sent; /* bytes, or the piece that is being sent */
  size_t sent_at;     /* of that piece: what curl has taken */
  uint64_t given;     /* bytes of all pieces so far */
  bool gave_all;      /* no further piece comes; set for the other bodies too */
  bool wants_piece;   /* curl has nothing to send until one is given */
  bool wants_file;    /* the same, until a piece of a file has been read */
  bool is_refused;    /* the server has said no before all pieces were given */

  uint64_t began_ns, deadline_ns;
  struct timer total_timer, connect_timer, idle_timer;
  uint64_t moved, moved_ns; /* bytes both ways when last looked at, and since when so many */
  struct ticket ticket;     /* woken when something has come, is wanted, or has ended */
  struct scope *feeding;    /* of code that makes a piece: cancelled when none is needed; or NULL */
  enum fetch_outcome outcome;
  enum fetch_limit limit; /* once FETCH_TIMED_OUT */
  CURLcode code;          /* once FETCH_ENDED */
  int socket;             /* that it goes by; -1: none yet */
  bool reads, writes;     /* what curl waits for there */
  char problem[CURL_ERROR_SIZE];

  bool has_begun; /* its turn has come */
  bool has_connected;
  bool in_head;      /* header lines are of a head; after it they are trailers */
  bool has_location; /* of that head */
  bool has_head;     /* of the response that counts: no 1xx, no redirect that is followed */
  bool is_clogged;   /* curl holds what has come, until fetch_flow_resume */
  bool too_large;
  struct buffer head;    /* header lines of the last response, without the status line */
  struct buffer body;    /* what has come of it, and was not taken yet */
  uint64_t body_bytes;   /* that have come */
  struct opened *opened; /* of a body that is read bit by bit; kept by client_stream.c */
};

/* [owner] Makes curl's handle, for fetch_setup. False without memory. */
bool fetch_open(struct fetch *fetch);

/* [owner] Sends the request, again if it has been sent before. The fetch stays where it is in
 * memory until fetch_stop. False without memory. */
bool fetch_start(struct fetch_pool *pool, struct fetch *fetch);

/* [owner] For the pool: curl gets the fetch now; it has ended. A file that could not be read is
 * CURLE_READ_ERROR. */
void fetch_begin(struct fetch *fetch);
void fetch_end(struct fetch *fetch, CURLcode code);

/* [owner] For curl's callbacks: a connection is there; the head of the response that counts is. A
 * refusal (a status from 400 on) is not sent the rest of a body. */
void fetch_note_connection(struct fetch *fetch);
void fetch_note_head(struct fetch *fetch, bool is_refusal);

/* [owner] Wakes who waits for the fetch. */
void fetch_wake(struct fetch *fetch);

/* [owner] Drops the request where it is; what has come stays. Twice is harmless. */
void fetch_stop(struct fetch *fetch);

/* [owner] Drops the request and frees all it has; accepts a zeroed fetch, and twice. */
void fetch_finish(struct fetch *fetch);

#endif
