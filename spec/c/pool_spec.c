/* pool_spec.c - calls of blocking functions: results, errors, queues, threads.
 *
 * One caller, a worker as an HTTP worker is, and pools that load the same app. How calls are given
 * up, and what many callers at once do, is in pool_cancel_spec.c. */
#include "pool_fixture.h"

#include "roles/app_pools.h"

/* ---- results and errors ---- */

static void gives_results(void **state) {
  expect_call(*state,
              "eq(add(1, 2), 3)\n"
              "eq(math.type(add(1, 2)), 'integer') eq(math.type(add(1, 2.0)), 'float')\n"
              "eq(select('#', echo()), 0)\n"
              "eq(select('#', echo(nil, false, nil)), 3) eq(select(2, echo(nil, false)), false)\n"
              "eq(echo 'a\\0b', 'a\\0b') eq(#echo(('x'):rep(1000000)), 1000000)\n"
              "local t = { 1, 2, x = { 'y' } } t.self = t\n"
              "local u = echo(t) eq(u == t, false) eq(u.self, u) eq(u.x[1], 'y')\n"
              "local list = {} for i = 1, 10000 do list[i] = i end\n"
              "eq(sum_up(list), 50005000)\n"
              "eq(select('#', echo(table.unpack(list, 1, 200))), 200)\n");
}

static void gives_errors(void **state) {
  expect_call(
      *state,
      "local _, err = pcall(raise, 'plain') eq(err, 'plain')\n"
      "err = fails('misuse', 'app.lua:12: text', raise_here, 'text')\n"
      "_, err = pcall(raise, { code = 7, inner = { 'x' } }) eq(err.code, 7)\n"
      "eq(err.inner[1], 'x')\n"
      "_, err = pcall(raise, nil) eq(err, nil)\n"
      "fails('timeout', 'timeout after', run, 'timeout(0.001, sleep, 1000)')\n"
      "local homeless = coroutine.wrap(print)\n"
      "fails('transfer', 'argument 2.x (function) cannot be sent', echo, 1, { x = homeless })\n"
      "fails('transfer', 'result 1 (function) cannot be sent', run,\n"
      "  'return coroutine.wrap(print)')\n"
      "eq(add(1, 2), 3)\n");
}

static void joins_tracebacks(void **state) {
  struct site *site = *state;
  struct run run;
  start_run(site->fixture, &run,
            "local function calls()\n"
            "  local x = raise_here('text') return x\n"
            "end\n"
            "calls()");
  turn_until(site->fixture, run.ended);
  const char *inner = strstr(run.traceback, "app.lua:12:");
  const char *outer = strstr(run.traceback, "chunk:2:");
  assert_true(inner && outer && inner < outer);
  assert_non_null(strstr(run.traceback, "called from:"));
  expect_failed(&run, "text");
}

static void runs_in_a_state_of_its_own(void **state) {
  expect_call(*state, "mine = 'here'\n"
                      "eq(run 'local x = mine mine = 1 return x', nil)\n"
                      "eq(mine, 'here')\n");
}

static void waits_in_the_pool_as_on_a_loop(void **state) {
  expect_call(*state, "eq(run 'sleep(0.001) checkpoint() return 1', 1)\n"
                      "eq(run [[local a, b = gather(function() sleep(0) return 1 end,\n"
                      "  function() return 2 end) return a + b]], 3)\n"
                      "eq(run [[return coroutine.wrap(function() sleep(0) return 4 end)()]], 4)\n");
}

static void runs_inline_in_a_pool_thread(void **state) {
  struct site *site = *state;
  expect_call(site, "local name, sum = outer(4) eq(name, 'outer') eq(sum, 5)");
  assert_int_equal(counted(LOADS), 2); /* the caller's, and one thread's */
}

static void cannot_be_called_where_nothing_can_wait(void **state) {
  struct site *site = *state;
  lua_State *L = site->fixture->worker.L;
  assert_int_not_equal(luaL_dostring(L, "add(1, 2)"), LUA_OK);
  assert_non_null(strstr(lua_tostring(L, -1), "a blocking function cannot wait outside of a task"));
  lua_pop(L, 1);
  expect_call(site, "fails('misuse', 'cannot wait inside', function()\n"
                    "  table.sort({ 1, 2, 3 }, function(a, b) return add(a, b) > 0 end) end)\n");
}

/* ---- threads and queues ---- */

static void uses_an_idle_thread_again(void **state) {
  struct site *site = *state;
  expect_call(site, "for i = 1, 200 do eq(add(i, 1), i + 1) end");
  assert_int_equal(counted(LOADS), 2);
  expect_call(site, "eq(run 'kept = 5', nil) eq(run 'return kept', 5)");
}

static void runs_as_many_at_once_as_it_has_threads(void **state) {
  struct site *site = *state;
  struct run runs[5];
  for (int i = 0; i < 5; i++) start_run(site->fixture, &runs[i], "eq(gated(5), 5)");
  turn_until_counted(site, BEGUN, 3);
  assert_int_equal(counted(BEGUN), 3);
  assert_int_equal(counted(ENDED), 0);
  atomic_store(&counters[GATE], 1);
  for (int i = 0; i < 5; i++) {
    turn_until(site->fixture, runs[i].ended);
    expect_done(&runs[i]);
  }
  assert_int_equal(counted(ENDED), 5);
  assert_int_equal(counted(LOADS), 4);
}

static void refuses_when_the_queue_is_full(void **state) {
  struct site *site = *state;
  struct run runs[3];
  start_run(site->fixture, &runs[0], "eq(gated(1), 1)");
  turn_until_counted(site, BEGUN, 1);
  for (int i = 1; i < 3; i++) start_run(site->fixture, &runs[i], "eq(gated(1), 1)");
  turn(site->fixture);
  expect_call(site, "for _ = 1, 3 do\n"
                    "  fails('full', \"the queue of pool 'default' is full\", add, 1, 2) end\n");
  atomic_store(&counters[GATE], 1);
  expect_call(site, "await(ENDED, 3)");
  for (int i = 0; i < 3; i++) {
    turn_until(site->fixture, runs[i].ended);
    expect_done(&runs[i]);
  }
  expect_call(site, "eq(add(1, 2), 3)");
}

static void runs_what_is_queued_in_order(void **state) {
  struct site *site = *state;
  expect_call(site,
              "local a, b, c = gather(function() return run 'n = (n or 0) + 1 return n' end,\n"
              "  function() return run 'n = (n or 0) + 1 return n' end,\n"
              "  function() return run 'n = (n or 0) + 1 return n' end)\n"
              "eq(a, 1) eq(b, 2) eq(c, 3)\n");
}

static void keeps_pools_apart(void **state) {
  struct site *site = *state;
  struct run run;
  pools_configure(site->pools, "video", 1, 1);
  start_run(site->fixture, &run, "eq(gated(1), 1)");
  turn_until_counted(site, BEGUN, 1);
  expect_call(site, "eq(run_video 'return 7', 7)");
  expect_call(site, "local err = fails('misuse', \"no pool 'nowhere'\", nowhere)");
  atomic_store(&counters[GATE], 1);
  turn_until(site->fixture, run.ended);
  expect_done(&run);
}

/* A mark that names a pool which the app does not have is a mistake, too. */
static void is_sized_by_the_app(void **state) {
  struct site *site = *state;
  lua_State *L = site->fixture->worker.L;
  static const struct {
    const char *app, *problem; /* NULL: none */
  } cases[] = {
      {"{}", "app.lua:17: there is no pool 'video' in this app"},
      {"{ pools = { default = { threads = 2, queue = 1 }, video = {} } }", NULL},
      {"{ pools = { 'default' } }", "pools is a table of name to"},
      {"{ pools = { default = 5 } }", "pools is a table of name to"},
      {"{ pools = { default = { threads = 0 } } }",
       "pool \"default\": threads is a whole number from 1 to 1024"},
      {"{ pools = { default = { threads = 1.5 } } }", "threads is a whole number"},
      {"{ pools = { default = { queue = -1 } } }", "queue is a whole number"},
      {"{ pools = { default = { queue = 'x' } } }", "queue is a whole number"},
      {"{ pools = { default = { queue = 1 << 40 } } }", "queue is a whole number"},
      {"{}", NULL},
      {"(function() local pools = {} for i = 1, 64 do pools['p' .. i] = {} end\n"
       "  return { pools = pools } end)()",
       "an app has 64 pools at most, default and tasks included"},
  };
  lua_pushlightuserdata(L, site->pools);
  lua_setglobal(L, "pools");
  for (size_t i = 0; i < array_len(cases); i++) {
    char chunk[256];
    snprintf(chunk, sizeof chunk, "configure(%s)", cases[i].app);
    int status = luaL_dostring(L, chunk);
    if (!cases[i].problem != (status == LUA_OK)) fail_msg("%s", lua_tostring(L, -1));
    if (cases[i].problem && !strstr(lua_tostring(L, -1), cases[i].problem))
      fail_msg("%s", lua_tostring(L, -1));
    lua_settop(L, 0);
  }
  expect_call(site, "eq(run_video 'return 7', 7)");
}

static int configure(lua_State *L) {
  lua_getglobal(L, "pools");
  struct pools *pools = lua_touserdata(L, -1);
  lua_pop(L, 1);
  app_pools_read(L, 1, pools);
  assert_int_equal(lua_gettop(L), 1);
  return 0;
}

static int start_configurable(void **state) {
  static const char *const marked[] = {"a", "b", "c", "nowhere"};
  start_site(state);
  struct site *site = *state;
  for (size_t i = 0; i < array_len(marked); i++) pools_configure(site->pools, marked[i], 1, 1);
  lua_register(site->fixture->worker.L, "configure", configure);
  return 0;
}

/* ---- states that cannot be made ---- */

static void fails_calls_when_the_app_does_not_load(void **state) {
  struct site *site = *state;
  struct site broken = {.fixture = site->fixture};
  write_app(&broken, "local perilune = require 'perilune'\n"
                     "add = perilune.blocking(function(a, b) return a + b end)\n"
                     "if counter(LOADS_BROKEN or 5) > 0 then error 'only once' end\n"
                     "count(5)\n"
                     "return perilune.app {}\n");
  broken.snapshot = snapshot_create(broken.dir);
  broken.pools = pools_create(&site->fixture->process, broken.snapshot);
  load_app_into(site->fixture, &broken);
  expect_call(&broken, "for _ = 1, 3 do\n"
                       "  local err = fails('misuse', 'the app did not load in a pool thread',\n"
                       "    add, 1, 2)\n"
                       "  has(err, 'only once')\n"
                       "end\n"
                       "local function failing() return pcall(add, 1, 2) end\n"
                       "local a, b, c, d, e = gather(failing, failing, failing, failing, failing)\n"
                       "eq(a or b or c or d or e, false)\n");
  destroy_pools(&broken);
  remove_app(&broken);
  site->fixture->worker.snapshot = site->snapshot;
  snapshot_destroy(broken.snapshot);
}

/* No thread is left that could run what is queued: it must not wait for ever. */
static void fails_calls_when_no_state_fits(void **state) {
  struct site *site = *state;
  site->fixture->settings.memory_limit_bytes = 10000;
  expect_call(site, "local function failing()\n"
                    "  fails('cancelled', 'stopped or had no memory for it', add, 1, 2) end\n"
                    "gather(failing, failing, failing)\n"
                    "failing()\n");
  site->fixture->settings.memory_limit_bytes = 0;
  expect_call(site, "eq(add(1, 2), 3)");
}

static void runs_out_of_memory_in_the_pool_alone(void **state) {
  struct site *site = *state;
  site->fixture->settings.memory_limit_bytes = 2000000;
  expect_call(site, "local fill = 'local t = {} for i = 1, math.huge do t[i] = { i } end'\n"
                    "for _ = 1, 3 do\n"
                    "  fails('memory', \"not enough memory: a Lua state of pool 'default' has \"\n"
                    "    .. 'reached its memory limit of 2000000 bytes', run, fill)\n"
                    "  eq(add(1, 2), 3)\n"
                    "end\n"
                    "fails('memory', 'not enough memory', echo, ('x'):rep(3000000))\n"
                    "eq(add(1, 2), 3)\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      site_test(gives_results),
      site_test(gives_errors),
      site_test(joins_tracebacks),
      site_test(runs_in_a_state_of_its_own),
      site_test(waits_in_the_pool_as_on_a_loop),
      site_test(runs_inline_in_a_pool_thread),
      site_test(cannot_be_called_where_nothing_can_wait),
      site_test(uses_an_idle_thread_again),
      site_test(runs_as_many_at_once_as_it_has_threads),
      narrow_test(refuses_when_the_queue_is_full),
      narrow_test(runs_what_is_queued_in_order),
      site_test(keeps_pools_apart),
      cmocka_unit_test_setup_teardown(is_sized_by_the_app, start_configurable, stop_site),
      site_test(fails_calls_when_the_app_does_not_load),
      narrow_test(fails_calls_when_no_state_fits),
      site_test(runs_out_of_memory_in_the_pool_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
