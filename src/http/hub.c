/* hub.c - the turn's end, the clock, and the end of all connections.
 *
 * Promises that one hub_flush writes each connection at most once for what the turn produced, and
 * that owners hear of every lost response. Knows nothing of bytes: connections do the work. */
#include "http/hub.h"

#include "base/limits.h"
#include "http/access_log.h"
#include "http/compress.h"
#include "http/connection.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

void hub_init(struct hub *hub, uv_loop_t *loop, struct timers *timers,
              const struct http_limits *limits, const struct router *router,
              const struct hub_calls *calls) {
  assert(calls->handle && calls->gone && calls->sent);
  *hub = (struct hub){
      .loop = loop, .timers = timers, .limits = limits, .router = router, .calls = *calls};
  list_init(&hub->_connections);
  list_init(&hub->_dirty);
  list_init(&hub->_ended);
  list_init(&hub->_paused_listeners);
  list_init(&hub->_spare_connections);
  list_init(&hub->_spare_exchanges);
  encoded_cache_init(&hub->_encoded_files, FILE_ENCODED_BYTES_MAX);
  hub->_input = memory_alloc(INPUT_BYTES);
  hub->_spare_outputs = memory_alloc(SPARE_OUTPUTS_MAX * sizeof *hub->_spare_outputs);
}

static void free_spares(struct hub *hub) {
  struct list *link;
  while ((link = list_pop(&hub->_spare_connections)))
    free(container_of(link, struct connection, link));
  while ((link = list_pop(&hub->_spare_exchanges))) {
    struct exchange *exchange = container_of(link, struct exchange, _link);
    request_finish(&exchange->request);
    buffer_finish(&exchange->_answer);
    free(exchange);
  }
  for (uint32_t i = 0; i < hub->_spare_output_count; i++) buffer_finish(&hub->_spare_outputs[i]);
}

void hub_finish(struct hub *hub) {
  if (!hub->_input) return;
  assert(hub->connection_count == 0 && hub->exchange_count == 0 && hub->file_count == 0);
  free_spares(hub);
  free(hub->_spare_outputs);
  free(hub->_input);
  buffer_finish(&hub->_scratch);
  buffer_finish(&hub->_block);
  buffer_finish(&hub->_body);
  buffer_finish(&hub->_noticed);
  compress_destroy(hub->_compress);
  compress_jobs_finish(&hub->jobs);
  encoded_cache_finish(&hub->_encoded_files);
  *hub = (struct hub){0};
}

void hub_flush(struct hub *hub) {
  assert(!hub->_flushing);
  hub->_flushing = true;
  hub->_flush_count++;
  struct list *link;
  /* Going on with paused input may produce more output: a second pass over that connection. */
  while ((link = list_pop(&hub->_dirty)))
    connection_flush(container_of(link, struct connection, dirty));
  while ((link = list_pop(&hub->_ended)))
    hub->calls.sent(container_of(link, struct exchange, _link));
  if (UNLIKELY(hub->access_log != NULL)) access_log_flush(hub->access_log);
  hub->_now_known = false;
  hub->_flushing = false;
}

/* Applies `action` to every connection; it may take the one at hand off the list, no other. */
static void for_each(struct hub *hub, void (*action)(struct connection *)) {
  for (struct list *link = hub->_connections.next, *next; link != &hub->_connections; link = next) {
    next = link->next;
    action(container_of(link, struct connection, link));
  }
}

void hub_drain(struct hub *hub) {
  hub->_draining = true;
  for_each(hub, connection_drain);
}

void hub_close_all(struct hub *hub) {
  hub->_draining = true;
  for_each(hub, connection_close);
}

void hub_publish(const struct hub *hub, struct metrics *metrics) {
  const struct hub_counts *counts = &hub->counts;
  metrics_set(metrics, METRIC_CONNECTIONS_OPEN, hub->connection_count);
  metrics_set(metrics, METRIC_CONNECTIONS, counts->connections);
  metrics_set(metrics, METRIC_ACCEPTS_PAUSED, counts->accepts_paused);
  metrics_set(metrics, METRIC_ACCEPTS_FAILED, counts->accepts_failed);
  metrics_set(metrics, METRIC_REQUESTS_IN_FLIGHT, hub->exchange_count);
  metrics_set(metrics, METRIC_REQUESTS_2XX, counts->responses[2]);
  metrics_set(metrics, METRIC_REQUESTS_3XX, counts->responses[3]);
  metrics_set(metrics, METRIC_REQUESTS_4XX, counts->responses[4]);
  metrics_set(metrics, METRIC_REQUESTS_5XX, counts->responses[5]);
  metrics_set(metrics, METRIC_REQUESTS_REFUSED, counts->refused);
  metrics_set(metrics, METRIC_BYTES_IN, counts->bytes_in);
  metrics_set(metrics, METRIC_BYTES_OUT, counts->bytes_out);
}

uint64_t hub_now(struct hub *hub) {
  if (UNLIKELY(!hub->_now_known)) {
    hub->_now_ns = timers_now(hub->timers);
    hub->_now_known = true;
  }
  return hub->_now_ns;
}

struct slice hub_date(struct hub *hub) {
  uint64_t now = hub_now(hub);
  if (UNLIKELY(now >= hub->_date_until_ns)) {
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    date_format(hub->_date, wall.tv_sec);
    hub->_date_until_ns = now + NS_PER_SECOND - (uint64_t)wall.tv_nsec;
  }
  return (struct slice){hub->_date, DATE_LEN};
}
