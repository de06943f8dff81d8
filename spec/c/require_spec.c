/* require_spec.c - what of require is not seen from one fiber: who waits for whom, and forgetting.
 *
 * Modules come from package.preload or from the snapshot of a small app in a temporary directory.
 * What Lua sees of require is in the specs written in Lua. */
#include "pool_fixture.h"

#include "core/instance.h"
#include "core/require.h"

static void lets_the_second_fiber_wait(void **state) {
  struct fixture *fixture = *state;
  struct run runs[4];
  expect_chunk(fixture, "package.preload.slow = function() trace 'l' park(1) return { 'm' } end");
  start_run(fixture, &runs[0], "first = require 'slow' trace '0'");
  start_run(fixture, &runs[1], "eq(require 'slow', first) trace '1'");
  start_run(fixture, &runs[2], "coroutine.wrap(function() eq(require 'slow', first) end)()");
  start_run(fixture, &runs[3], "fails('cancelled', 'spec', require, 'slow') trace '3'");
  turn(fixture);
  expect_trace(fixture, "l");
  assert_string_equal(runs[1].fiber->waits_for, "require");
  fiber_cancel(runs[3].fiber, "spec");
  settle(fixture);
  expect_trace(fixture, "3");
  expect_done(&runs[3]);
  fiber_wake(fixture->tickets[1]);
  settle(fixture);
  expect_trace(fixture, "01");
  for (int i = 0; i < 3; i++) expect_done(&runs[i]);
}

static void lets_the_next_try_when_loading_fails(void **state) {
  struct fixture *fixture = *state;
  struct run runs[2];
  expect_chunk(fixture, "tries = 0\n"
                        "package.preload.shaky = function()\n"
                        "  tries = tries + 1 park(tries)\n"
                        "  if tries == 1 then error 'shaky' end return 'steady'\n"
                        "end");
  start_run(fixture, &runs[0], "require 'shaky'");
  start_run(fixture, &runs[1], "eq(require 'shaky', 'steady') eq(tries, 2)");
  turn(fixture);
  fiber_wake(fixture->tickets[1]);
  settle(fixture);
  expect_failed(&runs[0], "shaky");
  fiber_wake(fixture->tickets[2]);
  settle(fixture);
  expect_done(&runs[1]);
}

/* The loader's fiber is cancelled inside the module: nobody may wait for it for ever. */
static void lets_the_next_try_when_loading_is_cancelled(void **state) {
  struct fixture *fixture = *state;
  struct run runs[2];
  expect_chunk(fixture,
               "package.preload.slow = function() if again then return 5 end again = true\n"
               "  park(1) end");
  start_run(fixture, &runs[0], "require 'slow'");
  start_run(fixture, &runs[1], "eq(require 'slow', 5)");
  turn(fixture);
  fiber_cancel(runs[0].fiber, "spec");
  settle(fixture);
  expect_failed(&runs[0], "cancelled: spec");
  expect_done(&runs[1]);
}

static void tells_a_circle_from_a_wait(void **state) {
  expect_chunk(*state, "package.preload.a = function() return require 'b' end\n"
                       "package.preload.b = function() sleep(0) return require 'a' end\n"
                       "fails('misuse', \"module 'a' requires itself\", require, 'a')\n"
                       "package.preload.b = function() return 'b' end\n"
                       "eq(require 'a', 'b')\n");
}

/* Each of two fibers runs a module that the other's needs. */
static void tells_a_circle_over_two_fibers(void **state) {
  struct fixture *fixture = *state;
  struct run runs[3];
  expect_chunk(fixture, "package.preload.a = function() park(1) return require 'b' end\n"
                        "package.preload.b = function() park(2) return require 'c' end\n"
                        "package.preload.c = function() park(3) return require 'a' end");
  start_run(fixture, &runs[0], "fails('misuse', 'requires itself', require, 'a')");
  start_run(fixture, &runs[1], "fails('misuse', 'requires itself', require, 'b')");
  start_run(fixture, &runs[2], "fails('misuse', 'requires itself', require, 'c')");
  turn(fixture);
  for (int i = 1; i <= 3; i++) {
    fiber_wake(fixture->tickets[i]);
    settle(fixture);
  }
  while (!runs[0].ended || !runs[1].ended || !runs[2].ended) { /* those that waited run it again */
    for (int i = 1; i <= 3; i++) fiber_wake(fixture->tickets[i]);
    turn(fixture);
  }
  for (int i = 0; i < 3; i++) expect_done(&runs[i]);
  expect_chunk(fixture, "eq(package.loaded.a, nil) package.preload.a = function() return 7 end\n"
                        "eq(require 'a', 7)");
}

static void takes_text_only(void **state) {
  expect_chunk(*state, "local code = string.dump(function() return 1 end)\n"
                       "for _, mode in ipairs { 'b', 'bt', 't' } do\n"
                       "  has(select(2, load(code, 'x', mode)), 'attempt to load a binary chunk')\n"
                       "end\n"
                       "has(select(2, load(code)), 'attempt to load a binary chunk')\n"
                       "eq(load('return x', 'x', 'b', { x = 5 })(), 5)\n"
                       "eq(load('return x', 'x', nil, {})(), nil)\n");
}

static int forget_app(lua_State *L) {
  instance_begin(L, worker_of(L)->snapshot);
  return 0;
}

static int load_app_file(lua_State *L) {
  require_load_app_file(L, luaL_checkstring(L, 1));
  return 1;
}

static void forgets_the_app_s_modules_alone(void **state) {
  struct site *site = *state;
  struct site app = {.fixture = site->fixture};
  lua_State *L = site->fixture->worker.L;
  write_app(&app, "runs = (runs or 0) + 1\nreturn { runs = runs }\n");
  app.snapshot = snapshot_create(app.dir);
  site->fixture->worker.snapshot = app.snapshot;
  lua_register(L, "forget_app", forget_app);
  lua_register(L, "load_app_file", load_app_file);
  expect_call(site,
              "package.preload.other = function() return {} end\n"
              "local other, mine = require 'other', require 'app'\n"
              "eq(require 'app', mine) eq(mine.runs, 1)\n"
              "forget_app()\n"
              "eq(require 'other', other) eq(require 'perilune', package.loaded.perilune)\n"
              "eq(require('app').runs, 2)\n"
              "eq(load_app_file('app.lua')().runs, 3)\n"
              "has(fails('misuse', 'has no none.lua', load_app_file, 'none.lua'), '/tmp/')\n");
  site->fixture->worker.snapshot = site->snapshot;
  remove_app(&app);
  snapshot_destroy(app.snapshot);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(lets_the_second_fiber_wait),
      fixture_test(lets_the_next_try_when_loading_fails),
      fixture_test(lets_the_next_try_when_loading_is_cancelled),
      fixture_test(tells_a_circle_from_a_wait),
      fixture_test(tells_a_circle_over_two_fibers),
      fixture_test(takes_text_only),
      site_test(forgets_the_app_s_modules_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
