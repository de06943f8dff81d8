/* http.h - the role of HTTP workers: a request starts a fiber.
 *
 * A worker may serve several apps at once (specs do): each is a service with its own hub and
 * listener. Requests come from the hub's callbacks, which only record; their fibers start in the
 * worker's turn, and what the turn produced is written at its end. */
#ifndef ROLES_HTTP_H
#define ROLES_HTTP_H

#include "core/worker.h"
#include "roles/http_service.h"

#include <stdbool.h>

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

/* What the hubs of services call. */
extern const struct hub_calls http_calls;

/* [owner] The services of a worker: http_service.link. */
struct list *http_services(struct worker *worker);

/* [owner] Ends the event streams of a service. */
void http_dismiss_streams(struct http_service *service);

#endif
