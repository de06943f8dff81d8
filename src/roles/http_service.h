/* http_service.h - an app being served on one HTTP worker: its hub, its listener, its handlers.
 *
 * A service is made in the worker's own state once the app has loaded there, listens, drains, is
 * closed and destroyed when it is idle. */
#ifndef ROLES_HTTP_SERVICE_H
#define ROLES_HTTP_SERVICE_H

#include "core/worker.h"
#include "http/access_log.h"
#include "http/hub.h"
#include "http/listener.h"
#include "http/proxy.h"
#include "roles/route_table.h"

#include <lua.h>
#include <stdbool.h>

struct http_service {
  struct list link; /* state.services */
  struct worker *worker;
  struct instance *instance; /* that its fibers belong to */
  struct timers *clock;      /* of that: what its handlers wait on */
  struct hub hub;
  struct listener listener;
  struct http_limits limits;
  struct proxy_trust trust;
  struct access_log access_log;
  const struct route_table *table;
  int *handlers; /* registry references, by route */
  int statuses;  /* registry reference: what answers for the server, by status */
  bool listening;
  bool draining;
};

/* [owner] A service of the app at `index` on this worker, on the clock of the running fiber;
 * nothing listens yet. The table outlives it. Raises when the app's routes differ from the table's.
 */
struct http_service *http_service_create(lua_State *L, int index, const struct route_table *table);

/* [owner] Starts accepting on a bound socket, which is taken over. */
uv_err http_service_listen(struct http_service *service, int fd);

/* [owner] Stops accepting and lets connections end as they become idle. */
void http_service_drain(struct http_service *service);

/* [owner] Closes all connections. */
void http_service_close(struct http_service *service);

/* [owner] Whether no connection is left, and nothing of what came by one. */
bool http_service_is_idle(const struct http_service *service);

/* [owner] Frees a service that has been closed and is idle. */
void http_service_destroy(struct http_service *service);

#endif
