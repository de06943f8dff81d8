/* watchdog_spec.c - what holds a worker is reported while it does, and killed where that is asked.
 *
 * Limits are milliseconds; code that is to be reported goes on until the log has the report. The
 * log is a file in memory. Deadlines are in interrupt_spec.c. */
#include "worker_fixture.h"

enum { WARN_MS = 20, KILL_MS = 30 };

/* reported() -> the number of reports in the log; allocates nothing in Lua */
static int count_reports(lua_State *L) {
  char *text = read_log(fixture_of(L));
  int count = 0;
  for (const char *at = text; (at = strstr(at, "the event loop is held")); at++) count++;
  free(text);
  lua_pushinteger(L, count);
  return 1;
}

/* limit_memory(true): nothing more may be allocated in the state */
static int limit_memory(lua_State *L) {
  struct memory *memory = &worker_of(L)->memory;
  memory->limit_bytes = lua_toboolean(L, 1) ? 1 : 0;
  return 0;
}

static int set_request(lua_State *L) {
  fiber_running(L)->request = 0xABCDEF;
  fiber_running(L)->name = "GET /slow";
  return 0;
}

static void register_functions(struct fixture *fixture) {
  lua_State *L = fixture->worker.L;
  lua_register(L, "reported", count_reports);
  lua_register(L, "limit_memory", limit_memory);
  lua_register(L, "set_request", set_request);
}

static int start_warning(void **state) {
  struct fixture *fixture = *state = fixture_start(WARN_MS, 0);
  register_functions(fixture);
  return 0;
}

static int start_killing(void **state) {
  struct fixture *fixture = *state = fixture_start(0, KILL_MS);
  register_functions(fixture);
  return 0;
}

static void expect_in_log(const struct fixture *fixture, const char *part) {
  char *text = read_log(fixture);
  if (!strstr(text, part)) fail_msg("no '%s' in '%s'", part, text);
  free(text);
}

/* ---- the report ---- */

static void reports_the_line_that_holds_the_worker(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "set_request()\n"
                        "local function slow()\n"
                        "  repeat until reported() > 0\n"
                        "end\n"
                        "local function outer()\n"
                        "  slow()\n"
                        "end\n"
                        "outer()\n"
                        "trace 'on'\n");
  expect_trace(fixture, "on"); /* nothing was raised */
  expect_in_log(fixture, "chunk:3: in slow\\n");
  expect_in_log(fixture, "chunk:6: in outer\\n");
  expect_in_log(fixture, "chunk:8:");
  expect_in_log(fixture, "GET /slow");
  expect_in_log(fixture, "0000000000abcdef");
  expect_in_log(fixture, "\"worker\":\"spec\"");
  expect_in_log(fixture, "perilune.blocking");
}

static void reports_inside_coroutines_and_protected_calls(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "coroutine.wrap(function()\n"
                        "  pcall(function()\n"
                        "    repeat until reported() > 0\n"
                        "  end)\n"
                        "end)()\n"
                        "table.sort({ 1, 2 }, function()\n"
                        "  sleep = nil return false\n"
                        "end)\n");
  expect_in_log(fixture, "chunk:3:");
}

/* Once for each time that it is resumed, however long that takes. */
static void reports_each_resume_once(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "repeat until reported() > 0\n"
                        "local until_time = now() + 0.1\n"
                        "repeat until now() > until_time\n"
                        "eq(reported(), 1)\n"
                        "sleep(0)\n"
                        "repeat until reported() > 1\n"
                        "eq(reported(), 2)\n");
}

/* In a state that is out of memory a report that allocated would raise. Room on the stack is made
 * before: a hook takes some as any call does. */
static void allocates_nothing_in_lua(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture,
               "local function slow()\n"
               "  repeat until reported() > 0\n"
               "end\n"
               "local function deep(n) return n == 0 and reported() or 1 + deep(n - 1) end\n"
               "deep(20)\n"
               "limit_memory(true)\n"
               "slow()\n"
               "limit_memory(false)\n"
               "trace 'on'\n");
  expect_trace(fixture, "on");
  expect_in_log(fixture, "chunk:2: in slow");
}

/* The traceback has a limit in bytes: frames are left out, never cut in the middle. */
static void cuts_long_tracebacks(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "local function deep(n)\n"
                        "  if n > 0 then deep(n - 1) return end\n"
                        "  repeat until reported() > 0\n"
                        "end\n"
                        "deep(1000)\n"
                        "local long = ('x'):rep(50)\n"
                        "eq(reported(), 1)\n");
  expect_in_log(fixture, "chunk:3:");
  expect_in_log(fixture, "chunk:2:");
}

static void does_not_report_what_waits(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "for _ = 1, 5 do sleep(0.02) end eq(reported(), 0)");
}

static void does_not_report_where_stalls_do_not_matter(void **state) {
  struct fixture *fixture = *state;
  fixture->role.stalls_matter = false;
  expect_chunk(fixture, "local until_time = now() + 0.1\n"
                        "repeat until now() > until_time\n"
                        "eq(reported(), 0)\n");
}

static void reports_and_interrupts_at_once(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "fails('timeout', '', timeout, 0.02, function() while true do end end)\n"
                        "fails('timeout', '', timeout, 0.02, function() while true do end end)\n");
}

/* ---- the kill ---- */

static void kills_what_holds_the_worker(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run, "local function slow() while true do end end\nslow()");
  turn_until(fixture, run.ended);
  assert_non_null(strstr(run.traceback, "chunk:1:"));
  expect_failed(&run, "interrupted: it held its event loop longer than --stall-kill allows");
  expect_chunk(fixture, "sleep(0) trace 'on'");
  expect_trace(fixture, "on");
}

static void kills_what_swallows_errors(void **state) {
  struct fixture *fixture = *state;
  static const char *const chunks[] = {
      "while true do pcall(function() while true do end end) end",
      "while true do pcall(error) end",
      "timeout(100, function() while true do pcall(error) end end)",
      "coroutine.wrap(function() while true do pcall(error) end end)()",
      "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
  };
  for (size_t i = 0; i < array_len(chunks); i++) {
    struct run run;
    start_run(fixture, &run, chunks[i]);
    turn_until(fixture, run.ended);
    expect_failed(&run, "it held its event loop longer than --stall-kill allows");
  }
  expect_chunk(fixture, "sleep(0)");
}

static void kills_through_shields(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run,
            "local s <close> = scope(nil, true)\n"
            "local t <close> = scope(100, true)\n"
            "while true do pcall(error) end");
  turn_until(fixture, run.ended);
  expect_failed(&run, "it held its event loop longer");
}

static void does_not_kill_what_waits(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "for _ = 1, 5 do sleep(0.02) end trace 'on'");
  expect_trace(fixture, "on");
}

/* ---- life ---- */

static void starts_and_stops_without_workers(void **state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    struct watchdog watchdog;
    assert_int_equal(watchdog_start(&watchdog, 1, 1), 0);
    watchdog_stop(&watchdog);
  }
}

#define warns(name) cmocka_unit_test_setup_teardown(name, start_warning, stop_fixture)
#define kills(name) cmocka_unit_test_setup_teardown(name, start_killing, stop_fixture)

int main(void) {
  const struct CMUnitTest tests[] = {
      warns(reports_the_line_that_holds_the_worker),
      warns(reports_inside_coroutines_and_protected_calls),
      warns(reports_each_resume_once),
      warns(allocates_nothing_in_lua),
      warns(cuts_long_tracebacks),
      warns(does_not_report_what_waits),
      warns(does_not_report_where_stalls_do_not_matter),
      warns(reports_and_interrupts_at_once),
      kills(kills_what_holds_the_worker),
      kills(kills_what_swallows_errors),
      kills(kills_through_shields),
      kills(does_not_kill_what_waits),
      cmocka_unit_test(starts_and_stops_without_workers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
