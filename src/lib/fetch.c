/* fetch.c - the life of a fetch: its start, its limits of time, its end.
 *
 * It ends once: by curl, or by a limit. What comes later changes nothing. */
#include "lib/fetch.h"

#include "core/scope.h"
#include "lib/fetch_file.h"
#include "lib/fetch_flow.h"
#include "lib/fetch_pool.h"
#include "lib/fetch_setup.h"

#include <assert.h>

/* How often a transfer is looked at within the time that it may stand still. */
enum { IDLE_LOOKS = 8 };

static void stop_timers(struct fetch *fetch) {
  if (!fetch->pool) return;
  struct timers *timers = fetch->pool->timers;
  timer_stop(timers, &fetch->total_timer);
  timer_stop(timers, &fetch->connect_timer);
  timer_stop(timers, &fetch->idle_timer);
}

void fetch_wake(struct fetch *fetch) {
  if (fetch->ticket.fiber) fiber_wake(fetch->ticket);
}

void fetch_stop(struct fetch *fetch) {
  stop_timers(fetch);
  fetch_pool_remove(fetch);
}

static void stop_feeding(struct fetch *fetch) {
  if (fetch->feeding) scope_cancel(fetch->feeding, "the server has answered");
}

static void settle(struct fetch *fetch, enum fetch_outcome outcome) {
  fetch->outcome = outcome;
  fetch_stop(fetch);
  stop_feeding(fetch);
  fetch_wake(fetch);
}

void fetch_end(struct fetch *fetch, CURLcode code) {
  if (fetch->outcome != FETCH_PENDING) return;
  bool is_of_file = code == CURLE_ABORTED_BY_CALLBACK && fetch->files;
  fetch->code = is_of_file ? CURLE_READ_ERROR : code;
  settle(fetch, FETCH_ENDED);
}

/* ---- limits of time ---- */

static void time_out(struct fetch *fetch, enum fetch_limit limit) {
  fetch->limit = limit;
  settle(fetch, FETCH_TIMED_OUT);
}

static void total_reached(struct timer *timer) {
  time_out(container_of(timer, struct fetch, total_timer), FETCH_LIMIT_TOTAL);
}

static void connect_reached(struct timer *timer) {
  time_out(container_of(timer, struct fetch, connect_timer), FETCH_LIMIT_CONNECT);
}

static uint64_t count_moved(const struct fetch *fetch) {
  curl_off_t up = 0, down = 0;
  curl_easy_getinfo(fetch->easy, CURLINFO_SIZE_UPLOAD_T, &up);
  curl_easy_getinfo(fetch->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
  return (uint64_t)up + (uint64_t)down + fetch->head.len;
}

static void look(struct timer *timer) {
  struct fetch *fetch = container_of(timer, struct fetch, idle_timer);
  struct timers *timers = fetch->pool->timers;
  uint64_t limit_ns = fetch->request.idle_timeout_ns;
  uint64_t now_ns = timers_now(timers), moved = count_moved(fetch);
  bool waits_for_us = fetch->is_clogged || fetch->wants_piece || fetch->wants_file;
  if (moved != fetch->moved || waits_for_us) fetch->moved_ns = now_ns;
  fetch->moved = moved;
  if (now_ns - fetch->moved_ns >= limit_ns)
    time_out(fetch, FETCH_LIMIT_IDLE);
  else
    timer_start(timers, timer, now_ns + limit_ns / IDLE_LOOKS + 1, look);
}

static void watch_progress(struct fetch *fetch) {
  if (fetch->request.idle_timeout_ns == 0 || timer_is_started(&fetch->idle_timer)) return;
  fetch->moved_ns = timers_now(fetch->pool->timers);
  look(&fetch->idle_timer);
}

void fetch_note_connection(struct fetch *fetch) {
  fetch->has_connected = true;
  timer_stop(fetch->pool->timers, &fetch->connect_timer);
  watch_progress(fetch);
}

void fetch_note_head(struct fetch *fetch, bool is_refusal) {
  fetch->has_head = true;
  fetch->is_refused = is_refusal && !fetch->gave_all;
  if (fetch->is_refused) stop_feeding(fetch);
  if (!fetch->request.stream) return;
  timer_stop(fetch->pool->timers, &fetch->total_timer);
  if (fetch->request.idle_timeout_ns == 0)
    fetch->request.idle_timeout_ns = HTTP_STREAM_IDLE_MS * NS_PER_MS;
  watch_progress(fetch);
  fetch_wake(fetch);
}

/* ---- start and end ---- */

bool fetch_open(struct fetch *fetch) {
  if (!fetch->easy) fetch->easy = curl_easy_init();
  return fetch->easy;
}

static void forget_response(struct fetch *fetch) {
  fetch->outcome = FETCH_PENDING;
  fetch->socket = -1;
  fetch->has_begun = fetch->has_connected = fetch->has_head = fetch->in_head = false;
  fetch->is_clogged = fetch->wants_piece = fetch->wants_file = fetch->too_large = false;
  fetch->is_refused = false;
  fetch->body_bytes = fetch->moved = 0;
  *fetch->problem = '\0';
  buffer_clear(&fetch->head);
  buffer_clear(&fetch->body);
}

bool fetch_start(struct fetch_pool *pool, struct fetch *fetch) {
  assert(!fetch->pool && fetch->url && fetch->easy);
  uint64_t now_ns = timers_now(pool->timers);
  forget_response(fetch);
  if (!fetch_setup_apply(fetch, pool->no_proxy.data)) return false;
  if (fetch->began_ns == 0) {
    fetch->began_ns = now_ns;
    fetch->deadline_ns = now_ns + fetch->request.timeout_ns;
  }
  timer_start(pool->timers, &fetch->total_timer, fetch->deadline_ns, total_reached);
  fetch_pool_add(pool, fetch);
  return true;
}

void fetch_begin(struct fetch *fetch) {
  struct timers *timers = fetch->pool->timers;
  timer_start(timers, &fetch->connect_timer, timers_now(timers) + fetch->request.connect_timeout_ns,
              connect_reached);
}

void fetch_finish(struct fetch *fetch) {
  fetch_stop(fetch);
  curl_easy_cleanup(fetch->easy);
  curl_mime_free(fetch->parts);
  fetch_file_drop_all(fetch);
  curl_slist_free_all(fetch->headers);
  curl_free(fetch->url);
  fetch->easy = NULL;
  fetch->parts = NULL;
  fetch->headers = NULL;
  fetch->url = NULL;
  buffer_finish(&fetch->label);
  buffer_finish(&fetch->sent);
  buffer_finish(&fetch->head);
  buffer_finish(&fetch->body);
}
