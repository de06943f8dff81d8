/* http.h - the role of HTTP workers: a request starts a fiber.
 *
 * A worker may serve several apps at once (specs do): each is a service with its own hub and
 * listener. Requests come from the hub's callbacks, which only record; their fibers start in the
 * worker's turn, and what the turn produced is written at its end. */
#ifndef ROLES_HTTP_H
#define ROLES_HTTP_H

#include "core/worker.h"
#include "http/hub.h"
#include "roles/route_table.h"

#include <lua.h>
#include <stdbool.h>

struct http_service;

extern const struct worker_role http_role;

/* [owner] What the role does before the fibers of a turn and at its end; for roles made of it. */
void http_begin(struct worker *worker);
void http_turn(struct worker *worker);

/* [owner] Gives a new worker the state of this role; before worker_init. */
void http_init(struct worker *worker);

/* [owner] Closes all services; true once each of them is idle. May be called again. */
bool http_close(struct worker *worker);

/* [owner] Frees it; after worker_finish. All services have been destroyed. */
void http_finish(struct worker *worker);

/* [owner] A service of the app at `index` on this worker; nothing listens yet. The table outlives
 * it. Raises when the app's routes differ from the table's. */
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
