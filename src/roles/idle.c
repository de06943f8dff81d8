/* idle.c - the worker's own lists, its services' hubs, and the requests that it has sent itself.
 *
 * What is held beside those requests is real work, and is waited for. */
#include "roles/idle.h"

#include "core/worker.h"
#include "http/flight.h"
#include "lib/client.h"
#include "lib/fetch.h"
#include "lib/fetch_pool.h"
#include "roles/http.h"

/* Whether the request of this worker has come to one of its services. */
static bool has_settled(const struct fetch *fetch, void *context) {
  const struct flight_client client = {fetch->socket, fetch->reads, fetch->writes};
  const struct list *services = context;
  for (const struct list *link = services->next; link != services; link = link->next)
    if (flight_is_settled(&container_of(link, const struct http_service, link)->hub, &client))
      return true;
  return false;
}

bool idle_is_reached(struct worker *worker) {
  const struct list *services = http_services(worker);
  if (!list_is_empty(&worker->ready) || worker->again || !inbox_is_empty(&worker->inbox))
    return false;
  for (const struct list *link = services->next; link != services; link = link->next)
    if (!flight_is_over(&container_of(link, const struct http_service, link)->hub)) return false;
  if (worker->holds == 0) return true;
  const struct fetch_pool *pool = client_pool(worker->L);
  if (!pool || worker->holds > fetch_pool_count(pool)) return false;
  return fetch_pool_is_settled(pool, has_settled, (void *)services);
}
