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

/* logged(text) -> whether the log has it; allocates nothing in Lua */
static int is_logged(lua_State *L) {
  char *text = read_log(fixture_of(L));
  lua_pushboolean(L, strstr(text, luaL_checkstring(L, 1)) != NULL);
  free(text);
  return 1;
}

/* hold(text): computes in C until the log has it, or for a while: a busy machine may have had this
 * resume reported before. No hook fires meanwhile. */
static int hold(lua_State *L) {
  uint64_t limit_ns = uv_hrtime() + NS_PER_SECOND;
  for (bool logged = false; !logged && uv_hrtime() < limit_ns; lua_pop(L, 1)) {
    is_logged(L);
    logged = lua_toboolean(L, -1);
  }
  return 0;
}

/* holding(text) -> a value whose collection holds the worker so, in Lua */
static const char holding[] = "function holding(text)\n"
                              "  return setmetatable({}, { __gc = function()\n"
                              "    local limit = now() + 1\n"
                              "    repeat until logged(text) or now() > limit\n"
                              "  end })\n"
                              "end\n";

static void register_functions(struct fixture *fixture) {
  lua_State *L = fixture->worker.L;
  lua_register(L, "logged", is_logged);
  lua_register(L, "hold", hold);
  assert_int_equal(luaL_dostring(L, holding), LUA_OK);
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

/* ---- what is stuck in C, where no hook fires ---- */

static void reports_what_is_stuck_in_c(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "set_request()\n"
                        "local function slow()\n"
                        "  hold 'in hold, called from chunk:3'\n"
                        "  return 1\n"
                        "end\n"
                        "local function outer()\n"
                        "  pcall(slow)\n"
                        "end\n"
                        "local function run()\n"
                        "  outer()\n"
                        "end\n"
                        "repeat sleep(0) coroutine.wrap(run)()\n"
                        "until logged 'in hold, called from chunk:3'\n"
                        "trace 'on'\n");
  expect_trace(fixture, "on");
  expect_in_log(fixture, "\"held\":\"in hold, called from chunk:3\"");
  expect_in_log(fixture, "[C]: in hold\\nchunk:3: in ");
  expect_in_log(fixture, "[C]: in pcall\\nchunk:7: in outer\\nchunk:10: in ");
  expect_in_log(fixture, "GET /slow");
  expect_in_log(fixture, "0000000000abcdef");
  expect_in_log(fixture, "\"worker\":\"spec\"");
  expect_in_log(fixture, "perilune.blocking");
}

/* By their own names, whatever they are called by. The work grows until it has been seen. */
static void names_functions_of_the_libraries(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "local search, size = string.find, 100\n"
                        "repeat\n"
                        "  search(('a'):rep(size), '.-.-.-b')\n"
                        "  size = size + 20 sleep(0)\n"
                        "until logged 'in string.find, called from chunk:3'\n"
                        "local rows = {}\n"
                        "for i = 1, 100000 do rows[i] = 'x' end\n"
                        "repeat\n"
                        "  for i = 1, #rows do rows[#rows + 1] = 'x' end\n"
                        "  table.concat(rows)\n"
                        "  sleep(0)\n"
                        "until #rows > 2e6 or logged 'in table.concat, called from chunk:10'\n");
}

static void reports_each_stuck_resume_once(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "sleep(0)\n"
                        "local before = reported()\n"
                        "hold 'never'\n"
                        "assert(reported() <= before + 1)\n"
                        "sleep(0)\n"
                        "before = reported()\n"
                        "hold 'never'\n"
                        "assert(reported() <= before + 1)\n"
                        "assert(reported() > 0)\n");
}

static void reports_finalizers(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "repeat sleep(0) holding 'in a finalizer' collectgarbage()\n"
                        "until logged 'in a finalizer'\n");
  expect_in_log(fixture, "in a finalizer (__gc)");
}

/* Whatever Lua does when the signals come: collections, stacks that grow and shrink, strings; in a
 * finalizer and outside. A resume that has been told of before is given up after a while. */
static void looks_at_any_moment(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture,
               "local kept = {}\n"
               "for i = 1, 100000 do kept[i] = { i } end\n"
               "local function deep(n) if n > 0 then return 1 + deep(n - 1) end return 0 end\n"
               "local works = {\n"
               "  function() collectgarbage() end,\n"
               "  function() deep(150000) collectgarbage 'step' end,\n"
               "  function() table.unpack(kept, 1, 100000) end,\n"
               "  function() return (('x'):rep(1e7) .. 'y'):upper() end,\n"
               "}\n"
               "local function hold(work)\n"
               "  local before, limit = reported(), now() + 0.5\n"
               "  repeat work() until reported() > before or now() > limit\n"
               "end\n"
               "for _ = 1, 3 do\n"
               "  for _, work in ipairs(works) do\n"
               "    sleep(0)\n"
               "    setmetatable({}, { __gc = function() hold(work) end })\n"
               "    collectgarbage()\n"
               "    sleep(0)\n"
               "    hold(work)\n"
               "  end\n"
               "end\n"
               "assert(reported() > 0)\n");
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
      warns(reports_what_is_stuck_in_c),
      warns(names_functions_of_the_libraries),
      warns(reports_each_stuck_resume_once),
      warns(reports_finalizers),
      warns(looks_at_any_moment),
      kills(kills_what_holds_the_worker),
      kills(kills_what_swallows_errors),
      kills(kills_through_shields),
      kills(does_not_kill_what_waits),
      cmocka_unit_test(starts_and_stops_without_workers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
