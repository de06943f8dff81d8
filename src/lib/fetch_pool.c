/* fetch_pool.c - curl's multi interface over uv_poll, and the queue before it.
 *
 * curl says which sockets it waits for and when it wants to be called again; sockets become
 * uv_polls, the time becomes a timer of the worker. Both come back as curl_multi_socket_action,
 * after which ended requests are collected. curl may call back from any of its functions, so the
 * callbacks only touch the structs of this file. */
#include "lib/fetch_pool.h"

#include "base/limits.h"
#include "core/worker.h"
#include "lib/fetch.h"
#include "lib/fetch_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define LOOPBACK_HOSTS "localhost,127.0.0.1,::1"

/* A socket of curl under uv_poll; owned by the loop from close on. */
struct watch {
  uv_poll_t poll;
  struct fetch_pool *pool;
  curl_socket_t socket;
  struct list link; /* fetch_pool.watches */
};

/* ---- fetches ---- */

void fetch_pool_go(struct fetch *fetch) {
  fetch_begin(fetch);
  if (curl_multi_add_handle(fetch->pool->multi, fetch->easy)) fetch_end(fetch, CURLE_OUT_OF_MEMORY);
}

static void begin(struct fetch_pool *pool, struct fetch *fetch) {
  list_push(&pool->fetches, &fetch->link);
  fetch->is_running = fetch->has_begun = true;
  pool->running++;
  if (fetch_file_open_all(fetch)) fetch_pool_go(fetch);
}

static void begin_next(struct fetch_pool *pool) {
  struct list *link;
  while (pool->running < pool->running_max && (link = list_pop(&pool->waiting)))
    begin(pool, container_of(link, struct fetch, link));
}

void fetch_pool_add(struct fetch_pool *pool, struct fetch *fetch) {
  fetch->pool = pool;
  worker_hold(pool->worker);
  list_push(&pool->waiting, &fetch->link);
  begin_next(pool);
}

void fetch_pool_remove(struct fetch *fetch) {
  struct fetch_pool *pool = fetch->pool;
  if (!pool) return;
  fetch->pool = NULL;
  worker_release(pool->worker);
  list_remove(&fetch->link);
  if (!fetch->is_running) return;
  fetch->is_running = false;
  curl_multi_remove_handle(pool->multi, fetch->easy);
  pool->running--;
  begin_next(pool);
}

static int count(const struct list *fetches) {
  int count = 0;
  for (const struct list *link = fetches->next; link != fetches; link = link->next) count++;
  return count;
}

int fetch_pool_count(const struct fetch_pool *pool) {
  return count(&pool->fetches) + count(&pool->waiting);
}

bool fetch_pool_is_settled(const struct fetch_pool *pool,
                           bool (*settled)(const struct fetch *fetch, void *context),
                           void *context) {
  const struct list *fetches = &pool->fetches;
  for (const struct list *link = fetches->next; link != fetches; link = link->next) {
    const struct fetch *fetch = container_of(link, const struct fetch, link);
    if (fetch->socket < 0 || !settled(fetch, context)) return false;
  }
  return list_is_empty(&pool->waiting);
}

/* Tells those whose request has ended. */
static void collect(struct fetch_pool *pool) {
  CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(pool->multi, &left))) {
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode code = message->data.result;
    struct fetch *fetch;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
    fetch_end(fetch, code);
  }
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
  if (uv_poll_init_socket(&pool->worker->loop, &watch->poll, socket)) {
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

/* Half of the descriptors that the process may have are for others. */
static size_t count_running_max(void) {
  struct rlimit limit;
  size_t most = HTTP_RUNNING_MAX;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 2 < most)
    most = (size_t)limit.rlim_cur / 2;
  return most > 0 ? most : 1;
}

bool fetch_pool_init(struct fetch_pool *pool, struct worker *worker) {
  *pool = (struct fetch_pool){
      .worker = worker, .timers = &worker->timers, .running_max = count_running_max()};
  list_init(&pool->fetches);
  list_init(&pool->waiting);
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

static void finish_all(struct list *fetches) {
  while (!list_is_empty(fetches)) fetch_finish(container_of(fetches->next, struct fetch, link));
}

void fetch_pool_finish(struct fetch_pool *pool) {
  if (!pool->multi) return;
  finish_all(&pool->waiting);
  finish_all(&pool->fetches);
  curl_multi_cleanup(pool->multi);
  pool->multi = NULL;
  while (!list_is_empty(&pool->watches))
    close_watch(container_of(pool->watches.next, struct watch, link));
  timer_stop(pool->timers, &pool->timer);
  buffer_finish(&pool->no_proxy);
}
