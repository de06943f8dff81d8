/* fetch.h - one HTTP request on its way through curl, on a worker's loop.
 *
 * A pool holds curl's multi handle of one Lua state: its kept-alive connections, its sockets under
 * uv_poll, its clock on the worker's timers. A fetch is one request and what came back. Callbacks
 * record into the fetch and wake its ticket; nothing here touches Lua. */
#ifndef LIB_FETCH_H
#define LIB_FETCH_H

#include "base/buffer.h"
#include "base/list.h"
#include "core/fiber.h"
#include "core/timer.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

struct fetch_pool {
  CURLM *multi;
  uv_loop_t *loop;
  struct timers *timers;
  struct timer timer;  /* curl's own */
  struct list fetches; /* fetch.link; those on their way */
  struct list watches; /* watch.link; sockets under uv_poll */
  struct buffer no_proxy;
};

/* What a request is made of, besides its URL, body and headers. */
struct fetch_request {
  const char *method; /* upper case; borrowed until fetch_start has returned */
  bool has_body;      /* fetch.sent, which may be empty */
  bool follow_redirects;
  bool verify;
  uint64_t timeout_ns; /* from start to the last byte */
  uint64_t connect_timeout_ms;
};

enum fetch_outcome { FETCH_PENDING, FETCH_ENDED, FETCH_TIMED_OUT };

/* Zeroed before; the caller fills request, sent, and by the functions below url and headers. */
struct fetch {
  struct list link;        /* fetch_pool.fetches */
  struct fetch_pool *pool; /* NULL unless it is on its way */
  CURL *easy;
  struct fetch_request request;
  char *url;                  /* owned by curl's allocator */
  struct buffer label;        /* method and URL without secrets, for messages; terminated */
  struct curl_slist *headers; /* to send */
  struct buffer sent;         /* the body to send; must not change while it is on its way */

  struct timer timer;
  struct ticket ticket; /* woken at the end */
  int socket;           /* that it goes by; -1: none yet */
  bool reads, writes;   /* what curl waits for there */
  enum fetch_outcome outcome;
  CURLcode code; /* once FETCH_ENDED */
  char problem[CURL_ERROR_SIZE];
  bool too_large;
  bool in_head;       /* header lines are of the head; after it they are trailers */
  struct buffer head; /* header lines of the last response, without the status line */
  struct buffer body;
};

/* [owner] Opens curl's multi handle; loop and timers outlive the pool. False without memory. */
bool fetch_pool_init(struct fetch_pool *pool, uv_loop_t *loop, struct timers *timers);

/* [owner] Stops every fetch (its waiter is not woken) and closes all connections; the handles of
 * the loop are freed once it has run. Accepts a zeroed pool, and twice. */
void fetch_pool_finish(struct fetch_pool *pool);

/* [owner] Parses an http or https URL, escapes what must be, and appends `query` (encoded pairs,
 * may be empty). CURLE_OK, or why not: `problem` says it then (static text). */
CURLcode fetch_set_url(struct fetch *fetch, const char *method, const char *url, const char *query,
                       const char **problem);

/* [owner] Adds a header line as curl wants it ("Name: value", "Name;" for an empty value, "Name:"
 * for none at all). False without memory. */
bool fetch_add_header(struct fetch *fetch, const char *line);

/* [owner] Sends the request; `ticket` is woken when outcome is no longer FETCH_PENDING. The fetch
 * stays where it is in memory until fetch_finish. False without memory. */
bool fetch_start(struct fetch_pool *pool, struct fetch *fetch, struct ticket ticket);

/* [owner] How many requests are on their way. */
int fetch_pool_count(const struct fetch_pool *pool);

/* [owner] Whether each request that is on its way goes by a socket that `settled` says is at rest;
 * one that has no socket yet is not. */
bool fetch_pool_is_settled(const struct fetch_pool *pool,
                           bool (*settled)(const struct fetch *fetch, void *context),
                           void *context);

/* [owner] Drops the request where it is, and frees all it has; accepts a zeroed fetch, and twice.
 */
void fetch_finish(struct fetch *fetch);

#endif
