/* hub_fixture.h - a hub for specs and fuzzers: small limits, a clock that stands still, a router.
 *
 * For http_site.h and request_fuzz.c, whose structs embed the parts; the handlers are theirs. Plain
 * asserts only, since a fuzzer has no cmocka. */
#ifndef SPEC_HUB_FIXTURE_H
#define SPEC_HUB_FIXTURE_H

#include "http/hub.h"
#include "http/router.h"

#include <assert.h>
#include <string.h>

enum { PIPELINE_MAX = 8, CONNECTIONS_MAX = 300, BODY_BYTES_MAX = 1000 };

static const struct http_limits hub_fixture_limits = {
    .head = {.target_bytes_max = 200, .head_bytes_max = 1000, .fields_max = 10},
    .body_bytes_max = BODY_BYTES_MAX,
    .header_timeout_ms = 10000,
    .body_timeout_ms = 30000,
    .idle_timeout_ms = 75000,
    .write_timeout_ms = 30000,
    .connections_max = CONNECTIONS_MAX,
    .pipeline_max = PIPELINE_MAX,
    .backlog = CONNECTIONS_MAX};

static inline void hub_fixture_route(struct router *router, enum method method, const char *path,
                                     uint32_t route) {
  struct router_problem problem;
  enum router_error error = router_add(router, method, path, strlen(path), route, &problem);
  assert(error == ROUTER_OK);
  (void)error;
}

static inline void hub_fixture_init(struct hub *hub, uv_loop_t *loop, struct timers *timers,
                                    const struct http_limits *limits, const struct router *router,
                                    const struct hub_calls *calls) {
  int error = uv_loop_init(loop);
  assert(error == 0);
  (void)error;
  timers_init_manual(timers, NS_PER_SECOND);
  hub_init(hub, loop, timers, limits, router, calls);
}

/* The loop must close: no connection, exchange or handle may be left. */
static inline void hub_fixture_finish(struct hub *hub) {
  uv_loop_t *loop = hub->loop;
  struct timers *timers = hub->timers;
  assert(hub->connection_count == 0 && hub->exchange_count == 0);
  int error = uv_loop_close(loop);
  assert(error == 0);
  (void)error;
  hub_finish(hub);
  hub_finish(hub);
  timers_finish(timers);
}

#endif
