/* admin.c - a hub with two routes.
 *
 * Each request is answered inside `handle`: there is nothing to wait for. Limits are small, for it
 * is asked small things by few. */
#include "admin.h"

#include "base/address.h"
#include "base/log.h"
#include "http/hub.h"
#include "http/listener.h"
#include "http/router.h"
#include "http/status.h"
#include "prometheus.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum route { ROUTE_HEALTH, ROUTE_METRICS, ROUTE_COUNT };

static const char *const patterns[ROUTE_COUNT] = {
    [ROUTE_HEALTH] = "/-/health", [ROUTE_METRICS] = "/-/metrics"};

/* Some come from scrapers that keep a connection, the rest is room for those who do not close. */
static const struct http_limits limits = {
    .head = {.target_bytes_max = 1024, .head_bytes_max = 16 * 1024, .fields_max = 100},
    .body_bytes_max = 0,
    .header_timeout_ms = 5000,
    .body_timeout_ms = 5000,
    .idle_timeout_ms = 75000,
    .write_timeout_ms = 10000,
    .connections_max = 256,
    .pipeline_max = 8,
    .backlog = 64,
};

struct admin {
  struct hub hub;
  struct listener listener;
  struct router *router;
  struct admin_source source;
  struct buffer text;
};

static void respond(struct exchange *exchange, int status, const char *fields,
                    struct buffer *body) {
  struct response response = {
      .status = status, .block = {fields, strlen(fields)}, .body = {body->data, body->len}};
  exchange_respond(exchange, &response);
}

static void respond_health(struct admin *admin, struct exchange *exchange) {
  const char *health = admin->source.health(admin->source.context);
  bool is_ok = strcmp(health, "ok") == 0;
  buffer_printf(&admin->text, "{\"status\":\"%s\"}", health);
  respond(exchange, is_ok ? STATUS_OK : STATUS_SERVICE_UNAVAILABLE,
          "Content-Type: application/json\r\nCache-Control: no-store\r\n", &admin->text);
}

static void respond_metrics(struct admin *admin, struct exchange *exchange) {
  admin->source.write_metrics(admin->source.context, &admin->text);
  respond(exchange, STATUS_OK, "Content-Type: " PROMETHEUS_CONTENT_TYPE "\r\n", &admin->text);
}

static void handle(struct exchange *exchange) {
  struct admin *admin = exchange->hub->owner;
  buffer_clear(&admin->text);
  switch ((enum route)exchange->match.route) {
  case ROUTE_HEALTH:
    respond_health(admin, exchange);
    break;
  case ROUTE_METRICS:
    respond_metrics(admin, exchange);
    break;
  case ROUTE_COUNT:
    break;
  }
  exchange_release(exchange);
}

/* Never called: every exchange is released as soon as it is there. */
static void ignore(struct exchange *exchange) {
  (void)exchange;
}

static struct router *create_router(void) {
  struct router *router = router_create();
  for (uint32_t route = 0; route < ROUTE_COUNT; route++) {
    struct router_problem problem;
    const char *pattern = patterns[route];
    enum router_error error =
        router_add(router, METHOD_GET, pattern, strlen(pattern), route, &problem);
    assert(error == ROUTER_OK);
    (void)error;
  }
  return router;
}

static void log_open(struct log *log, const char *host, uint16_t port) {
  char url[LISTENER_MESSAGE_BYTES];
  listener_format_url(url, sizeof url, host, port);
  const struct log_field field = log_text("url", url);
  log_write(log, LOG_INFO, "admin endpoint open", &field, 1);
}

struct admin *admin_create(const char *endpoint, const struct admin_source *source, uv_loop_t *loop,
                           struct timers *timers, struct log *log,
                           char message[ADMIN_MESSAGE_BYTES]) {
  static const struct hub_calls calls = {.handle = handle, .gone = ignore, .sent = ignore};
  char host[ADDRESS_HOST_BYTES], problem[LISTENER_MESSAGE_BYTES];
  uint16_t port;
  int fd;
  bool is_right = address_split_endpoint(endpoint, host, &port);
  assert(is_right && "the settings have checked it");
  (void)is_right;
  if (listener_bind(host, port, 1, &fd, &port, problem) != 0) {
    snprintf(message, ADMIN_MESSAGE_BYTES, "%s", problem);
    return NULL;
  }
  struct admin *admin = memory_alloc_zero(sizeof *admin);
  admin->source = *source;
  admin->router = create_router();
  hub_init(&admin->hub, loop, timers, &limits, admin->router, &calls);
  admin->hub.owner = admin;
  uv_err error = listener_start(&admin->listener, &admin->hub, fd);
  if (error) {
    snprintf(message, ADMIN_MESSAGE_BYTES, "cannot listen on %s: %s", endpoint, uv_strerror(error));
    while (!admin->listener.is_closed) uv_run(loop, UV_RUN_ONCE);
    admin_destroy(admin);
    return NULL;
  }
  log_open(log, host, port);
  return admin;
}

void admin_flush(struct admin *admin) {
  if (admin) hub_flush(&admin->hub);
}

void admin_close(struct admin *admin) {
  if (!admin) return;
  listener_stop(&admin->listener);
  hub_close_all(&admin->hub);
}

bool admin_is_closed(const struct admin *admin) {
  return !admin || (admin->listener.is_closed && admin->hub.connection_count == 0);
}

void admin_destroy(struct admin *admin) {
  if (!admin) return;
  hub_finish(&admin->hub);
  router_destroy(admin->router);
  buffer_finish(&admin->text);
  free(admin);
}
