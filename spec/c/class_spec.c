/* class_spec.c - names of classes, perilune.null, array marks, and error tables.
 *
 * Everything runs in one plain Lua state per spec, without the libraries of Lua. */
#include "core/class.h"
#include "core/error.h"

#include <lauxlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int open_state(void **state) {
  *state = luaL_newstate();
  return *state ? 0 : -1;
}

static int close_state(void **state) {
  lua_State *L = *state;
  int top = lua_gettop(L);
  lua_close(L);
  return top;
}

static void names_go_both_ways(void **state) {
  lua_State *L = *state;
  lua_newtable(L);
  class_register(L, "shop.cart");
  class_push(L, "shop.cart");
  assert_true(lua_rawequal(L, 1, 2));
  lua_newtable(L);
  assert_null(class_name(L, 3));
  lua_pushvalue(L, 1);
  lua_setmetatable(L, 3);
  assert_string_equal(class_name(L, 3), "shop.cart");
  assert_string_equal(class_name(L, -1), "shop.cart");
  assert_int_equal(lua_gettop(L), 3);
  lua_settop(L, 0);
}

static void new_classes_are_made(void **state) {
  lua_State *L = *state;
  class_push(L, "other.class");
  class_push(L, "other.class");
  assert_true(lua_rawequal(L, 1, 2));
  lua_newtable(L);
  lua_insert(L, 2);
  lua_setmetatable(L, 2);
  assert_string_equal(class_name(L, 2), "other.class");
  assert_non_null(strstr(luaL_tolstring(L, 2, NULL), "other.class"));
  lua_settop(L, 0);
}

static void a_replaced_class_keeps_its_name(void **state) {
  lua_State *L = *state;
  lua_newtable(L);
  class_push(L, "shop.cart");
  lua_setmetatable(L, 1);
  lua_newtable(L);
  class_register(L, "shop.cart");
  class_push(L, "shop.cart");
  assert_true(lua_rawequal(L, 2, 3));
  lua_gc(L, LUA_GCCOLLECT);
  assert_string_equal(class_name(L, 1), "shop.cart");
  lua_settop(L, 0);
}

static void null_is_one_value(void **state) {
  lua_State *L = *state;
  lua_newuserdatauv(L, 0, 0);
  assert_false(class_is_null(L, 1));
  class_push_null(L);
  class_push_null(L);
  assert_true(lua_rawequal(L, 2, 3));
  assert_true(class_is_null(L, 2));
  assert_true(class_is_null(L, -1));
  assert_false(class_is_null(L, 1));
  assert_string_equal(class_name(L, 2), CLASS_NULL);
  assert_string_equal(luaL_tolstring(L, 2, NULL), "null");
  lua_pushnil(L);
  lua_pushlightuserdata(L, L);
  assert_false(class_is_null(L, -1));
  assert_false(class_is_null(L, -2));
  lua_settop(L, 0);
}

static void tables_can_be_marked(void **state) {
  lua_State *L = *state;
  lua_newtable(L);
  assert_false(class_is_array(L, 1));
  lua_newtable(L);
  lua_setmetatable(L, 1);
  assert_false(class_is_array(L, 1));
  class_set_array(L, -1);
  assert_true(class_is_array(L, 1));
  assert_string_equal(class_name(L, 1), CLASS_ARRAY);
  lua_pushliteral(L, "text");
  assert_false(class_is_array(L, -1));
  assert_int_equal(lua_gettop(L), 2);
  lua_settop(L, 0);
}

static int raise(lua_State *L) {
  error_raise(L, "full", "the queue has %d entries", 7);
}

static void errors_have_kind_and_message(void **state) {
  lua_State *L = *state;
  lua_pushcfunction(L, raise);
  assert_int_equal(lua_pcall(L, 0, 0, 0), LUA_ERRRUN);
  assert_string_equal(error_kind(L, -1), "full");
  lua_getfield(L, 1, "message");
  assert_string_equal(lua_tostring(L, -1), "the queue has 7 entries");
  assert_string_equal(luaL_tolstring(L, 1, NULL), "the queue has 7 entries");
  error_push(L, "json", "%s", "other");
  assert_string_equal(error_kind(L, -1), "json");
  lua_settop(L, 0);
}

static void other_values_have_no_kind(void **state) {
  lua_State *L = *state;
  lua_newtable(L);
  lua_pushliteral(L, "http");
  lua_setfield(L, 1, "kind");
  assert_null(error_kind(L, 1));
  lua_pushliteral(L, "an error");
  assert_null(error_kind(L, 2));
  lua_newtable(L);
  class_push_array(L);
  lua_setmetatable(L, 3);
  assert_null(error_kind(L, -1));
  assert_int_equal(lua_gettop(L), 3);
  lua_settop(L, 0);
}

/* An error from another state gets its metatable by name. */
static void errors_arrive_in_a_new_state(void **state) {
  lua_State *L = *state;
  error_open(L);
  assert_int_equal(lua_gettop(L), 0);
  lua_newtable(L);
  lua_pushliteral(L, "from afar");
  lua_setfield(L, 1, "message");
  class_push(L, CLASS_ERROR);
  lua_setmetatable(L, 1);
  assert_string_equal(luaL_tolstring(L, 1, NULL), "from afar");
  lua_settop(L, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(names_go_both_ways, open_state, close_state),
      cmocka_unit_test_setup_teardown(new_classes_are_made, open_state, close_state),
      cmocka_unit_test_setup_teardown(a_replaced_class_keeps_its_name, open_state, close_state),
      cmocka_unit_test_setup_teardown(null_is_one_value, open_state, close_state),
      cmocka_unit_test_setup_teardown(tables_can_be_marked, open_state, close_state),
      cmocka_unit_test_setup_teardown(errors_have_kind_and_message, open_state, close_state),
      cmocka_unit_test_setup_teardown(other_values_have_no_kind, open_state, close_state),
      cmocka_unit_test_setup_teardown(errors_arrive_in_a_new_state, open_state, close_state),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
