/* route_table_spec.c - the routes of an app: built once, found again in every state by what they
 * are.
 *
 * Apps are tables here, as lua/perilune/app.lua makes them. Matching is in router_spec.c. */
#include "roles/route_table.h"

#include <lauxlib.h>
#include <lualib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char prelude[] = "function route(method, pattern, handler, line)\n"
                              "  return { method = method, pattern = pattern, handler = handler,\n"
                              "    source = 'app.lua:' .. (line or 1) } end\n";

static int start_state(void **state) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  assert_int_equal(luaL_dostring(L, prelude), LUA_OK);
  *state = L;
  return 0;
}

static int stop_state(void **state) {
  lua_close(*state);
  return 0;
}

/* Pushes an app with the routes that the expression lists. */
static void push_app(lua_State *L, const char *routes) {
  lua_pushfstring(L, "return { routes = { %s } }", routes);
  if (luaL_dostring(L, lua_tostring(L, -1))) fail_msg("%s", lua_tostring(L, -1));
  lua_remove(L, -2);
}

static int create(lua_State *L) {
  lua_pushlightuserdata(L, route_table_create(L, 1));
  return 1;
}

static int push_handlers(lua_State *L) {
  route_table_push_handlers(L, lua_touserdata(L, 1), 2);
  assert_int_equal(lua_gettop(L), 3);
  return 1;
}

static struct route_table *new_table(lua_State *L, const char *routes) {
  lua_pushcfunction(L, create);
  push_app(L, routes);
  if (lua_pcall(L, 1, 1, 0)) fail_msg("%s", lua_tostring(L, -1));
  struct route_table *table = lua_touserdata(L, -1);
  lua_settop(L, 0);
  return table;
}

static void expect_problem(lua_State *L, const char *routes, const char *problem) {
  lua_pushcfunction(L, create);
  push_app(L, routes);
  assert_int_equal(lua_pcall(L, 1, 1, 0), LUA_ERRRUN);
  if (!strstr(lua_tostring(L, -1), problem)) fail_msg("%s", lua_tostring(L, -1));
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT); /* the half of a table goes with its builder */
}

/* The handlers of the other state's routes, as text in the order of the table. */
static void expect_handlers(lua_State *L, const struct route_table *table, const char *routes,
                            const char *handlers) {
  lua_pushcfunction(L, push_handlers);
  lua_pushlightuserdata(L, (void *)(uintptr_t)table);
  push_app(L, routes);
  if (lua_pcall(L, 2, 1, 0)) fail_msg("%s", lua_tostring(L, -1));
  lua_setglobal(L, "handlers");
  assert_int_equal(luaL_dostring(L, "return table.concat(handlers, ' ')"), LUA_OK);
  assert_string_equal(lua_tostring(L, -1), handlers);
  lua_settop(L, 0);
}

static void expect_difference(lua_State *L, const struct route_table *table, const char *routes,
                              const char *problem) {
  lua_pushcfunction(L, push_handlers);
  lua_pushlightuserdata(L, (void *)(uintptr_t)table);
  push_app(L, routes);
  assert_int_equal(lua_pcall(L, 2, 1, 0), LUA_ERRRUN);
  if (!strstr(lua_tostring(L, -1), problem)) fail_msg("%s", lua_tostring(L, -1));
  lua_settop(L, 0);
}

#define THREE                                                                                      \
  "route('GET', '/', 'a', 3), route('POST', '/', 'b', 4), route('GET', '/users/{id:int}', 'c', 5)"

static void is_built_in_order(void **state) {
  struct route_table *table = new_table(*state, THREE);
  assert_int_equal(table->count, 3);
  assert_int_equal(table->routes[1].method, METHOD_POST);
  assert_string_equal(table->routes[2].pattern, "/users/{id:int}");
  assert_string_equal(table->routes[2].source, "app.lua:5");
  struct match match;
  assert_int_equal(router_match(table->router, METHOD_POST, "/", 1, &match), MATCH_FOUND);
  assert_int_equal(match.route, 1);
  assert_int_equal(router_match(table->router, METHOD_GET, "/users/7", 8, &match), MATCH_FOUND);
  assert_int_equal(match.route, 2);
  route_table_destroy(table);
  route_table_destroy(NULL);
  route_table_destroy(new_table(*state, ""));
}

static void keeps_the_options(void **state) {
  struct route_table *table =
      new_table(*state, "route('GET', '/', 'a'),"
                        "{ method = 'POST', pattern = '/', source = 'app.lua:2', timeout_ms = 1500,"
                        "  body_bytes_max = 7, stream_body = true, cancel_on_disconnect = true }");
  const struct route *plain = &table->routes[0], *full = &table->routes[1];
  assert_int_equal(plain->timeout_ms, 0);
  assert_false(plain->cancel_on_disconnect);
  assert_true(table->hub_routes[0].body_bytes_max == HUB_ROUTE_DEFAULT);
  assert_false(table->hub_routes[0].streams_body);
  assert_int_equal(full->timeout_ms, 1500);
  assert_true(full->cancel_on_disconnect);
  assert_int_equal(table->hub_routes[1].body_bytes_max, 7);
  assert_true(table->hub_routes[1].streams_body);
  route_table_destroy(table);
}

static void names_both_places_of_a_clash(void **state) {
  expect_problem(*state, THREE ", route('GET', '/users/{id:int}', 'd', 9)",
                 "app.lua:9: GET /users/{id:int} is a route already, at app.lua:5");
  expect_problem(*state, THREE ", route('GET', '/users/{name:int}', 'd', 9)", "app.lua:9: ");
}

static void names_the_place_of_a_bad_pattern(void **state) {
  expect_problem(*state, THREE ", route('GET', 'users', 'd', 9)", "app.lua:9: ");
  expect_problem(*state, THREE ", route('GET', '/{x:what}', 'd', 9)", "app.lua:9: ");
}

static void finds_handlers_by_method_and_pattern(void **state) {
  struct route_table *table = new_table(*state, THREE);
  expect_handlers(*state, table, THREE, "a b c");
  expect_handlers(*state, table,
                  "route('GET', '/users/{id:int}', 'C'), route('POST', '/', 'B'),"
                  "route('GET', '/', 'A')",
                  "A B C");
  route_table_destroy(table);
}

static void refuses_states_that_differ(void **state) {
  struct route_table *table = new_table(*state, THREE);
  expect_difference(*state, table, "route('GET', '/', 'a')",
                    "the app has 3 routes in one Lua state and 1 in another");
  expect_difference(*state, table, THREE ", route('GET', '/more', 'd')", "3 routes in one");
  expect_difference(*state, table,
                    "route('GET', '/', 'a'), route('PUT', '/', 'b'),"
                    "route('GET', '/users/{id:int}', 'c')",
                    "app.lua:4: route POST / exists in one Lua state and not in another");
  expect_difference(*state, table,
                    "route('GET', '/', 'a'), route('POST', '/', 'b'),"
                    "route('GET', '/users/{id}', 'c')",
                    "app.lua:5: route GET /users/{id:int} exists in one Lua state");
  route_table_destroy(table);
}

#define test(name) cmocka_unit_test_setup_teardown(name, start_state, stop_state)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(is_built_in_order),
      test(keeps_the_options),
      test(names_both_places_of_a_clash),
      test(names_the_place_of_a_bad_pattern),
      test(finds_handlers_by_method_and_pattern),
      test(refuses_states_that_differ),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
