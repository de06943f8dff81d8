/* route_table.h - the routes of an app: built once, bound in each state.
 *
 * The first state to load an app makes the table; every other state finds its own handlers by
 * method and pattern, never by order. A difference between states is a load error. Read-only once
 * made, so all workers share it. */
#ifndef ROLES_ROUTE_TABLE_H
#define ROLES_ROUTE_TABLE_H

#include "http/hub.h"
#include "http/router.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct route {
  enum method method;
  char *pattern;
  char *source;        /* file:line */
  uint32_t timeout_ms; /* 0: none */
  bool cancel_on_disconnect;
};

struct route_table {
  struct router *router;
  struct route *routes;
  struct hub_route *hub_routes;
  size_t count;
  bool statuses[HUB_STATUS_COUNT]; /* from HUB_STATUS_MIN on: app:on_status has it */
  struct policy *policy;           /* NULL: the app adds nothing to responses */
  struct statics *statics;
};

/* [owner] The table of the app at `index` (its fields `routes`, `policy` and `statics`). Raises on
 * a bad pattern and on two routes of one method and pattern, naming both places. The caller owns
 * it. */
struct route_table *route_table_create(lua_State *L, int index);

/* [any thread] Frees it; accepts NULL. */
void route_table_destroy(struct route_table *table);

/* [owner] Pushes a list of the handlers of the app at `index`, in the table's order from 1. Raises
 * when the app's routes differ from the table's. */
void route_table_push_handlers(lua_State *L, const struct route_table *table, int index);

/* [owner] Pushes the app's field `statuses`: status -> what answers for the server with it, or nil.
 * Raises when they differ from the table's. */
void route_table_push_statuses(lua_State *L, const struct route_table *table, int index);

#endif
