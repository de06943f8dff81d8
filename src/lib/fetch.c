/* fetch.c - curl's multi handle driven by libuv, and the easy handles on it.
 *
 * curl says which sockets it waits for and when it wants to be called again; sockets become
 * uv_polls, the time becomes a timer of the worker. Both come back as curl_multi_socket_action,
 * after which ended requests are collected. curl may call back from any of its functions, so the
 * callbacks only touch the structs of this file. */
#include "lib/fetch.h"

#include "base/limits.h"
#include "core/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOOPBACK_HOSTS "localhost,127.0.0.1,::1"

/* A socket of curl under uv_poll; owned by the loop from close on. */
struct watch {
  uv_poll_t poll;
  struct fetch_pool *pool;
  curl_socket_t socket;
  struct list link; /* fetch_pool.watches */
};

/* ---- the end of a fetch ---- */

/* Takes the fetch off curl; what has been received stays. */
static void detach(struct fetch *fetch) {
  if (!fetch->pool) return;
  timer_stop(fetch->pool->timers, &fetch->timer);
  curl_multi_remove_handle(fetch->pool->multi, fetch->easy);
  list_remove(&fetch->link);
  fetch->pool = NULL;
  worker_release(fetch->ticket.fiber->worker);
}

/* Wakes those whose request has ended. */
static void collect(struct fetch_pool *pool) {
  CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(pool->multi, &left))) {
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode code = message->data.result;
    struct fetch *fetch;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
    detach(fetch);
    if (fetch->outcome != FETCH_PENDING) continue;
    fetch->outcome = FETCH_ENDED;
    fetch->code = code;
    fiber_wake(fetch->ticket);
  }
}

static void time_out(struct timer *timer) {
  struct fetch *fetch = container_of(timer, struct fetch, timer);
  fetch->outcome = FETCH_TIMED_OUT;
  fiber_wake(fetch->ticket);
}

/* ---- sockets and time ---- */

static void socket_ready(uv_poll_t *poll, int status, int events) {
  struct watch *watch = container_of(poll, struct watch, poll);
  struct fetch_pool *pool = watch->pool;
  int action = status < 0 ? CURL_CSELECT_ERR : 0;
  if (events & UV_READABLE) action |= CURL_CSELECT_IN;
  if (events & UV_WRITABLE) action |= CURL_CSELECT_OUT;
  int running;
  curl_multi_socket_action(pool->multi, watch->socket, action, &running);
  collect(pool);
}

static void free_watch(uv_handle_t *handle) {
  free(container_of((uv_poll_t *)handle, struct watch, poll));
}

static void close_watch(struct watch *watch) {
  list_remove(&watch->link);
  uv_close((uv_handle_t *)&watch->poll, free_watch);
}

/* NULL when the loop cannot watch that socket. */
static struct watch *open_watch(struct fetch_pool *pool, curl_socket_t socket) {
  struct watch *watch = memory_alloc_zero(sizeof *watch);
  watch->pool = pool;
  watch->socket = socket;
  if (uv_poll_init_socket(pool->loop, &watch->poll, socket)) {
    free(watch);
    return NULL;
  }
  list_push(&pool->watches, &watch->link);
  curl_multi_assign(pool->multi, socket, watch);
  return watch;
}

static void note_socket(CURL *easy, curl_socket_t socket, int what) {
  struct fetch *fetch = NULL;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &fetch);
  if (!fetch) return;
  bool is_left = what == CURL_POLL_REMOVE;
  fetch->socket = socket;
  fetch->reads = !is_left && (what & CURL_POLL_IN);
  fetch->writes = !is_left && (what & CURL_POLL_OUT);
}

/* CURLMOPT_SOCKETFUNCTION; -1 makes curl fail what runs. */
static int watch_socket(CURL *easy, curl_socket_t socket, int what, void *context,
                        void *socket_context) {
  struct fetch_pool *pool = context;
  struct watch *watch = socket_context;
  note_socket(easy, socket, what);
  if (what == CURL_POLL_REMOVE) {
    curl_multi_assign(pool->multi, socket, NULL);
    if (watch) close_watch(watch);
    return 0;
  }
  if (!watch) watch = open_watch(pool, socket);
  if (!watch) return -1;
  int events = 0;
  if (what & CURL_POLL_IN) events |= UV_READABLE;
  if (what & CURL_POLL_OUT) events |= UV_WRITABLE;
  return uv_poll_start(&watch->poll, events, socket_ready) ? -1 : 0;
}

static void time_reached(struct timer *timer) {
  struct fetch_pool *pool = container_of(timer, struct fetch_pool, timer);
  int running;
  curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  collect(pool);
}

/* CURLMOPT_TIMERFUNCTION; -1: no time. */
static int set_time(CURLM *multi, long wait_ms, void *context) {
  struct fetch_pool *pool = context;
  (void)multi;
  if (wait_ms < 0) {
    timer_stop(pool->timers, &pool->timer);
    return 0;
  }
  uint64_t due_ns = timers_now(pool->timers) + (uint64_t)wait_ms * NS_PER_MS;
  timer_start(pool->timers, &pool->timer, due_ns, time_reached);
  return 0;
}

/* ---- the pool ---- */

/* Loopback never goes through a proxy, nor what the environment excludes. */
static void list_no_proxy(struct buffer *out) {
  const char *more = getenv("no_proxy");
  if (!more) more = getenv("NO_PROXY");
  if (more && strcmp(more, "*") == 0) {
    buffer_add_text(out, "*"); /* means everything, but only where it stands alone */
  } else {
    buffer_add_text(out, LOOPBACK_HOSTS);
    if (more && *more) buffer_printf(out, ",%s", more);
  }
  buffer_add_byte(out, '\0');
}

bool fetch_pool_init(struct fetch_pool *pool, uv_loop_t *loop, struct timers *timers) {
  *pool = (struct fetch_pool){.loop = loop, .timers = timers};
  list_init(&pool->fetches);
  list_init(&pool->watches);
  pool->multi = curl_multi_init();
  if (!pool->multi) return false;
  list_no_proxy(&pool->no_proxy);
  curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
  curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
  curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, set_time);
  curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
  curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_CONNECTIONS_KEPT_MAX);
  return true;
}

void fetch_pool_finish(struct fetch_pool *pool) {
  if (!pool->multi) return;
  while (!list_is_empty(&pool->fetches))
    fetch_finish(container_of(pool->fetches.next, struct fetch, link));
  curl_multi_cleanup(pool->multi);
  pool->multi = NULL;
  while (!list_is_empty(&pool->watches))
    close_watch(container_of(pool->watches.next, struct watch, link));
  timer_stop(pool->timers, &pool->timer);
  buffer_finish(&pool->no_proxy);
}

/* ---- what comes back ---- */

/* CURLOPT_HEADERFUNCTION: each line of each response, of redirects and 1xx too, then trailers. */
static size_t take_header_line(char *line, size_t size, size_t count, void *context) {
  struct fetch *fetch = context;
  size_t len = size * count;
  if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
    long status = 0;
    curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    /* See Other is always asked for with GET (RFC 9110, 15.4.4), whatever method was set. */
    if (status == 303) curl_easy_setopt(fetch->easy, CURLOPT_CUSTOMREQUEST, NULL);
    buffer_clear(&fetch->head);
    buffer_clear(&fetch->body);
    fetch->in_head = true;
    return len;
  }
  if (!fetch->in_head) return len;
  fetch->in_head = *line != '\r' && *line != '\n';
  fetch->too_large = fetch->head.len + len > HTTP_RESPONSE_HEAD_BYTES_MAX;
  if (fetch->too_large) return 0;
  if (fetch->in_head) buffer_add(&fetch->head, line, len);
  return len;
}

/* CURLOPT_WRITEFUNCTION */
static size_t take_body(char *data, size_t size, size_t count, void *context) {
  struct fetch *fetch = context;
  size_t len = size * count;
  fetch->too_large = len > HTTP_RESPONSE_BYTES_MAX - fetch->body.len;
  if (fetch->too_large) return 0;
  buffer_add(&fetch->body, data, len);
  return len;
}

/* ---- a fetch ---- */

/* Method and URL without user, password, query and fragment. */
static void make_label(struct fetch *fetch, CURLU *parts, const char *method) {
  static const CURLUPart secret[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS,
                                     CURLUPART_QUERY, CURLUPART_FRAGMENT};
  char *text = NULL;
  for (size_t i = 0; i < array_len(secret); i++) curl_url_set(parts, secret[i], NULL, 0);
  curl_url_get(parts, CURLUPART_URL, &text, 0);
  buffer_printf(&fetch->label, "%s %s", method, text ? text : "?");
  buffer_add_byte(&fetch->label, '\0');
  curl_free(text);
}

static bool is_http(CURLU *parts) {
  char *scheme = NULL;
  curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
  bool http = scheme && (strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0);
  curl_free(scheme);
  return http;
}

CURLcode fetch_set_url(struct fetch *fetch, const char *method, const char *url, const char *query,
                       const char **problem) {
  CURLU *parts = curl_url();
  if (!parts) return CURLE_OUT_OF_MEMORY;
  CURLcode code = CURLE_OK;
  CURLUcode bad = curl_url_set(parts, CURLUPART_URL, url, CURLU_URLENCODE | CURLU_ALLOW_SPACE);
  if (!bad && *query) bad = curl_url_set(parts, CURLUPART_QUERY, query, CURLU_APPENDQUERY);
  if (!bad) bad = curl_url_get(parts, CURLUPART_URL, &fetch->url, 0);
  if (bad) {
    code = bad == CURLUE_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_URL_MALFORMAT;
    *problem = curl_url_strerror(bad);
  } else if (!is_http(parts)) {
    code = CURLE_UNSUPPORTED_PROTOCOL;
    *problem = "neither http nor https";
  } else {
    make_label(fetch, parts, method);
  }
  curl_url_cleanup(parts);
  return code;
}

bool fetch_add_header(struct fetch *fetch, const char *line) {
  struct curl_slist *longer = curl_slist_append(fetch->headers, line);
  if (longer) fetch->headers = longer;
  return longer;
}

/* The set_ functions give 0, or some of the bits of curl's error codes. */
static unsigned set_method(struct fetch *fetch) {
  const struct fetch_request *request = &fetch->request;
  CURL *easy = fetch->easy;
  const char *method = request->method;
  unsigned bad = 0;
  bool is_post = strcmp(method, "POST") == 0;
  bool sends =
      request->has_body || is_post || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
  if (sends) {
    bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)fetch->sent.len);
    bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, fetch->sent.len ? fetch->sent.data : "");
  } else if (strcmp(method, "HEAD") == 0) {
    return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (strcmp(method, "GET") == 0) {
    return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  }
  if (is_post) return bad;
  bad |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
  /* Only POST becomes GET, without its body, at 301 and 302. */
  bad |=
      curl_easy_setopt(easy, CURLOPT_POSTREDIR, (long)(CURL_REDIR_POST_301 | CURL_REDIR_POST_302));
  return bad;
}

static unsigned set_protocols(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
  unsigned bad = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  return bad | curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  unsigned bad = curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
  return bad | curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
}

static unsigned set_rules(CURL *easy, const struct fetch_request *request) {
  unsigned bad = set_protocols(easy);
  bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
  bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, request->follow_redirects ? 1L : 0L);
  bad |= curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)HTTP_REDIRECTS_MAX);
  bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, request->verify ? 1L : 0L);
  bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, request->verify ? 2L : 0L);
#if LIBCURL_VERSION_NUM >= 0x075700
  /* A request dropped while its name is looked up leaves that thread behind, which ends by itself;
   * curl would wait for it on the event loop. */
  bad |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
  bad |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "perilune/" PERILUNE_VERSION);
  bad |= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, ""); /* all that curl can decode */
  return bad;
}

static unsigned set_callbacks(struct fetch *fetch) {
  CURL *easy = fetch->easy;
  unsigned bad = curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
  bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->problem);
  bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header_line);
  bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
  bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
  return bad;
}

bool fetch_start(struct fetch_pool *pool, struct fetch *fetch, struct ticket ticket) {
  assert(!fetch->easy && fetch->url);
  fetch->socket = -1;
  fetch->easy = curl_easy_init();
  if (!fetch->easy) return false;
  unsigned bad = set_method(fetch);
  bad |= set_rules(fetch->easy, &fetch->request);
  bad |= set_callbacks(fetch);
  bad |= curl_easy_setopt(fetch->easy, CURLOPT_NOPROXY, pool->no_proxy.data);
  bad |= curl_easy_setopt(fetch->easy, CURLOPT_HTTPHEADER, fetch->headers);
  bad |= curl_easy_setopt(fetch->easy, CURLOPT_URL, fetch->url);
  if (bad || curl_multi_add_handle(pool->multi, fetch->easy)) return false;
  fetch->pool = pool;
  fetch->ticket = ticket;
  worker_hold(ticket.fiber->worker);
  list_push(&pool->fetches, &fetch->link);
  timer_start(pool->timers, &fetch->timer, timers_now(pool->timers) + fetch->request.timeout_ns,
              time_out);
  return true;
}

int fetch_pool_count(const struct fetch_pool *pool) {
  int count = 0;
  const struct list *fetches = &pool->fetches;
  for (const struct list *link = fetches->next; link != fetches; link = link->next) count++;
  return count;
}

bool fetch_pool_is_settled(const struct fetch_pool *pool,
                           bool (*settled)(const struct fetch *fetch, void *context),
                           void *context) {
  const struct list *fetches = &pool->fetches;
  for (const struct list *link = fetches->next; link != fetches; link = link->next) {
    const struct fetch *fetch = container_of(link, const struct fetch, link);
    if (fetch->socket < 0 || !settled(fetch, context)) return false;
  }
  return true;
}

void fetch_finish(struct fetch *fetch) {
  detach(fetch);
  curl_easy_cleanup(fetch->easy);
  curl_slist_free_all(fetch->headers);
  curl_free(fetch->url);
  fetch->easy = NULL;
  fetch->headers = NULL;
  fetch->url = NULL;
  buffer_finish(&fetch->label);
  buffer_finish(&fetch->sent);
  buffer_finish(&fetch->head);
  buffer_finish(&fetch->body);
}
