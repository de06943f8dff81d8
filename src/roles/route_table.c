/* route_table.c - from an app's list of routes to a router and back to handlers.
 *
 * A route in Lua is { method=, pattern=, handler=, source=, ... } (lua/perilune/app.lua made it and
 * checked its types). */
#include "roles/route_table.h"

#include "roles/app_policy.h"
#include "roles/app_statics.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* A table under construction is owned by a userdata, so that a raise frees it. */
#define BUILDER_CLASS "perilune.route_table"

void route_table_destroy(struct route_table *table) {
  if (!table) return;
  for (size_t i = 0; i < table->count; i++) {
    free(table->routes[i].pattern);
    free(table->routes[i].source);
  }
  free(table->routes);
  free(table->hub_routes);
  router_destroy(table->router);
  policy_destroy(table->policy);
  static_destroy(table->statics);
  free(table);
}

static int release_builder(lua_State *L) {
  struct route_table **table = lua_touserdata(L, 1);
  route_table_destroy(*table);
  *table = NULL;
  return 0;
}

static struct route_table **push_builder(lua_State *L, size_t count) {
  struct route_table **owner = lua_newuserdatauv(L, sizeof(struct route_table *), 0);
  *owner = NULL;
  if (luaL_newmetatable(L, BUILDER_CLASS)) {
    lua_pushcfunction(L, release_builder);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  *owner = memory_alloc_zero(sizeof **owner);
  (*owner)->router = router_create();
  (*owner)->routes = memory_alloc_zero(count * sizeof(struct route));
  (*owner)->hub_routes = memory_alloc_zero(count * sizeof(struct hub_route));
  return owner;
}

static struct slice text_field(lua_State *L, int index, const char *name) {
  size_t len;
  lua_getfield(L, index, name);
  const char *text = luaL_checklstring(L, -1, &len);
  lua_pop(L, 1); /* the route's table keeps it alive */
  return (struct slice){text, len};
}

static enum method method_field(lua_State *L, int index) {
  struct slice name = text_field(L, index, "method");
  return method_find(name.data, name.len);
}

/* An option that was left out is nil. */
static uint64_t number_field(lua_State *L, int index, const char *name, uint64_t missing) {
  bool is_missing = lua_getfield(L, index, name) == LUA_TNIL;
  uint64_t value = is_missing ? missing : (uint64_t)luaL_checkinteger(L, -1);
  lua_pop(L, 1);
  return value;
}

static bool flag_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* The route's table is on top of the stack. */
static void add_route(lua_State *L, struct route_table *table) {
  int index = lua_gettop(L);
  struct slice pattern = text_field(L, index, "pattern"), source = text_field(L, index, "source");
  enum method method = method_field(L, index);
  struct router_problem problem;
  uint32_t number = (uint32_t)table->count;
  switch (router_add(table->router, method, pattern.data, pattern.len, number, &problem)) {
  case ROUTER_OK:
    break;
  case ROUTER_BAD_PATTERN:
    luaL_error(L, "%s: %s", source.data, problem.message);
    break;
  case ROUTER_CLASH:
    luaL_error(L, "%s: %s %s is a route already, at %s", source.data, method_name(method),
               pattern.data, table->routes[problem.clash_route].source);
    break;
  }
  table->routes[number] = (struct route){
      .method = method,
      .pattern = memory_copy(pattern.data, pattern.len),
      .source = memory_copy(source.data, source.len),
      .timeout_ms = (uint32_t)number_field(L, index, "timeout_ms", 0),
      .cancel_on_disconnect = flag_field(L, index, "cancel_on_disconnect"),
  };
  table->hub_routes[number] = (struct hub_route){
      .body_bytes_max = number_field(L, index, "body_bytes_max", HUB_ROUTE_DEFAULT),
      .streams_body = flag_field(L, index, "stream_body"),
  };
  table->count++;
}

/* Which statuses the app's field `statuses` has. */
static void read_statuses(lua_State *L, int index, bool out[HUB_STATUS_COUNT]) {
  int top = lua_gettop(L);
  memset(out, 0, HUB_STATUS_COUNT * sizeof *out);
  if (lua_getfield(L, index, "statuses") == LUA_TTABLE) {
    for (lua_pushnil(L); lua_next(L, top + 1); lua_pop(L, 1)) {
      lua_Integer at = luaL_checkinteger(L, -2) - HUB_STATUS_MIN;
      if (at < 0 || at >= HUB_STATUS_COUNT) luaL_error(L, "a status that is none");
      out[at] = true;
    }
  }
  lua_settop(L, top);
}

static void add_policy(lua_State *L, struct route_table *table, int index) {
  table->policy = policy_create();
  if (app_policy_read(L, index, table->policy)) return;
  policy_destroy(table->policy);
  table->policy = NULL;
}

struct route_table *route_table_create(lua_State *L, int index) {
  lua_getfield(L, index, "routes");
  int routes = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, routes);
  struct route_table **owner = push_builder(L, (size_t)count);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, routes, i);
    add_route(L, *owner);
    lua_pop(L, 1);
  }
  add_policy(L, *owner, index);
  (*owner)->statics = static_create();
  app_statics_read(L, index, (*owner)->statics);
  read_statuses(L, index, (*owner)->statuses);
  struct route_table *table = *owner;
  *owner = NULL;
  lua_settop(L, routes - 1);
  return table;
}

/* Pushes the route of this method and pattern from the list at `routes`; its usual place first. */
static void push_route(lua_State *L, int routes, const struct route *route, lua_Integer place) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, routes);
  for (lua_Integer i = 0; i < count; i++) {
    lua_rawgeti(L, routes, (place - 1 + i) % count + 1);
    int index = lua_gettop(L);
    struct slice pattern = text_field(L, index, "pattern");
    if (method_field(L, index) == route->method && strcmp(pattern.data, route->pattern) == 0)
      return;
    lua_pop(L, 1);
  }
  luaL_error(L,
             "%s: route %s %s exists in one Lua state and not in another: apps must register "
             "the same routes in every state",
             route->source, method_name(route->method), route->pattern);
}

void route_table_push_handlers(lua_State *L, const struct route_table *table, int index) {
  lua_getfield(L, index, "routes");
  int routes = lua_gettop(L);
  if ((size_t)lua_rawlen(L, routes) != table->count)
    luaL_error(L,
               "the app has %d routes in one Lua state and %d in another: apps must register "
               "the same routes in every state",
               (int)table->count, (int)lua_rawlen(L, routes));
  lua_createtable(L, (int)table->count, 0);
  for (size_t i = 0; i < table->count; i++) {
    push_route(L, routes, &table->routes[i], (lua_Integer)i + 1);
    lua_getfield(L, -1, "handler");
    lua_rawseti(L, routes + 1, (lua_Integer)i + 1);
    lua_pop(L, 1);
  }
  lua_remove(L, routes);
}

void route_table_push_statuses(lua_State *L, const struct route_table *table, int index) {
  bool statuses[HUB_STATUS_COUNT];
  read_statuses(L, index, statuses);
  if (memcmp(statuses, table->statuses, sizeof statuses) != 0)
    luaL_error(L, "app:on_status was called with other statuses in one Lua state than in another: "
                  "apps must do the same in every state");
  lua_getfield(L, index, "statuses");
}
