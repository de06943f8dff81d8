/* traceback_spec.c - tracebacks say what Lua's own say, of every kind of level, and deep ones too.
 *
 * `same()` compares both where it is called. They differ in the names of Lua functions that are
 * global or a module's, which ours does not look for; chunks here have none on their stack. */
#include "worker_fixture.h"

#include "core/traceback.h"

/* Lua's own skips one level more than it says. */
static void expect_same(const char *ours, const char *theirs) {
  static const char mark[] = "(skipping ";
  const char *our_mark = strstr(ours, mark), *their_mark = strstr(theirs, mark);
  if (!their_mark) {
    assert_string_equal(ours, theirs);
    return;
  }
  assert_non_null(our_mark);
  assert_int_equal(our_mark - ours, their_mark - theirs);
  assert_memory_equal(ours, theirs, (size_t)(our_mark - ours));
  char *our_rest, *their_rest;
  long our_number = strtol(our_mark + sizeof mark - 1, &our_rest, 10);
  assert_int_equal(our_number, strtol(their_mark + sizeof mark - 1, &their_rest, 10) + 1);
  assert_string_equal(our_rest, their_rest);
}

static int compare(lua_State *L) {
  for (int level = 0; level <= 2; level++) {
    luaL_traceback(L, L, NULL, level);
    traceback_push(L, level);
    expect_same(lua_tostring(L, -1), lua_tostring(L, -2));
    lua_pop(L, 2);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int open_with_compare(lua_State *L) {
  fixture_open_libs(L);
  lua_register(L, "same", compare);
  return 0;
}

static int start_with_compare(void **state) {
  *state = fixture_start_with(open_with_compare, 0, 0);
  return 0;
}

static void says_what_lua_says(void **state) {
  expect_chunk(
      *state,
      "same()\n"
      "local function known() same() end known()\n"
      "local function tail() return known() end tail()\n"
      "local object = { method = function() same() end, field = function() known() end }\n"
      "object:method() object.field()\n"
      "string.gsub('x', 'x', function() same() end) assert(pcall(known)) pcall(same)\n"
      "table.sort({ 2, 1 }, function(a, b) same() return a < b end)\n"
      "assert(xpcall(object.method, print)) assert(load 'same()')() coroutine.wrap(known)()\n"
      "local meta = setmetatable({}, { __index = function() return same() end,\n"
      "  __add = function() same() end, __close = function() same() end })\n"
      "assert(meta.x) local _ = meta + meta do local c <close> = meta end\n"
      "for _ in function(_, i) same() return not i or nil end do end\n"
      "assert(timeout(1, same)) assert(shield(object.method) == nil)\n"
      "assert(gather(same)) group(function(g) g:spawn(known) same() end)\n");
}

static void leaves_the_middle_of_a_deep_stack_out(void **state) {
  expect_chunk(*state, "local function deep(n) if n == 0 then same() return end deep(n - 1) end\n"
                       "for n = 1, 40 do deep(n) end deep(1000) deep(100000)\n");
}

/* The name of a C function is kept, but not the function. */
static void finds_names_once(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "for _ = 1, 3 do pcall(same) assert(load 'pcall(same)')() end\n");
  size_t before = lua_bytes(fixture);
  expect_chunk(fixture, "for _ = 1, 100 do coroutine.wrap(coroutine.wrap(same))() end\n");
  expect_chunk(fixture, "for _ = 1, 1000 do coroutine.wrap(coroutine.wrap(same))() end\n");
  assert_true(lua_bytes(fixture) < before + 4096);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(says_what_lua_says, start_with_compare, stop_fixture),
      cmocka_unit_test_setup_teardown(leaves_the_middle_of_a_deep_stack_out, start_with_compare,
                                      stop_fixture),
      cmocka_unit_test_setup_teardown(finds_names_once, start_with_compare, stop_fixture),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
