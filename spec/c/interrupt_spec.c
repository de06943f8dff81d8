/* interrupt_spec.c - Lua code stopped in the middle of a run, wherever it computes.
 *
 * The watchdog runs for real: deadlines are a few milliseconds, and what never ends by itself must
 * end. After every test the same state runs code again, and no hook is left in it. */
#include "worker_fixture.h"

#include "core/error.h"

#include <signal.h>

static int is_hooked(lua_State *L) {
  lua_pushboolean(L, lua_gethook(L) != NULL);
  return 1;
}

/* text_of(error) -> what a log says of it */
static int text_of(lua_State *L) {
  error_push_text(L, 1);
  return 1;
}

static int start_interruptible(void **state) {
  start_fixture(state);
  struct fixture *fixture = *state;
  lua_State *L = fixture->worker.L;
  lua_register(L, "is_hooked", is_hooked);
  lua_register(L, "text_of", text_of);
  assert_int_equal(luaL_dostring(L, "function forever() while true do end end\n"
                                    "function ends(fn, ...)\n"
                                    "  return fails('timeout', '', timeout, 0.01, fn, ...)\n"
                                    "end\n"),
                   LUA_OK);
  return 0;
}

static int stop_interruptible(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  for (int i = 0; i < 2; i++) {
    start_run(fixture, &run,
              "for _ = 1, 100 do eq(select(2, pcall(error, 7)), 7) end\n"
              "eq(is_hooked(), false)\n"
              "eq(coroutine.wrap(function() sleep(0) return is_hooked() end)(), false)\n");
    turn_until(fixture, run.ended);
    expect_done(&run);
    assert_null(run.fiber->interrupted);
    assert_false(run.fiber->insist);
  }
  assert_true(list_is_empty(&fixture->worker.fibers));
  return stop_fixture(state);
}

/* ---- wherever it computes ---- */

static void ends_loops(void **state) {
  expect_chunk(*state, "ends(forever)\n"
                       "ends(function() for i = 1, math.huge do end end)\n"
                       "ends(function() ::again:: goto again end)\n"
                       "ends(function() local function f() return f() end f() end)\n"
                       "ends(function() while true do math.abs(1) end end)\n"
                       "ends(function() local t = {} while true do t = { t } t = nil end end)\n");
}

static void ends_loops_of_protected_calls(void **state) {
  expect_chunk(*state, "ends(function() while true do pcall(forever) end end)\n"
                       "ends(function() while true do pcall(error, 'x') end end)\n"
                       "ends(function() while true do pcall(pcall, pcall, forever) end end)\n"
                       "ends(function() while true do xpcall(forever, tostring) end end)\n"
                       "ends(function() while true do xpcall(error, tostring) end end)\n"
                       "ends(function() return pcall(forever) end)\n"
                       "ends(function() while true do pcall(timeout, 0.001, forever) end end)\n");
}

static void ends_below_c_functions(void **state) {
  expect_chunk(*state, "ends(table.sort, { 3, 2, 1 }, forever)\n"
                       "local list = {}\n"
                       "for i = 1, 1000000 do list[i] = -i end\n"
                       "ends(table.sort, list, function(a, b) math.abs(1) return a < b end)\n"
                       "ends(string.gsub, ('x'):rep(10), '.', forever)\n"
                       "ends(load, forever)\n"
                       "local lazy = setmetatable({}, { __index = forever, __lt = forever,\n"
                       "  __concat = forever, __tostring = forever, __call = forever })\n"
                       "ends(function() return lazy.x end)\n"
                       "ends(function() return lazy < lazy end)\n"
                       "ends(function() return lazy .. 'x' end)\n"
                       "ends(tostring, lazy)\n"
                       "ends(function() lazy() end)\n");
}

static void ends_coroutines(void **state) {
  expect_chunk(
      *state, "ends(coroutine.wrap(forever))\n"
              "ends(coroutine.wrap(function() coroutine.wrap(forever)() end))\n"
              "ends(function() while true do coroutine.resume(coroutine.create(forever)) end end)\n"
              "ends(function() while true do pcall(coroutine.wrap(forever)) end end)\n"
              "ends(function() local it = coroutine.wrap(function()\n"
              "  while true do coroutine.yield() end end) while true do it() end end)\n"
              "ends(coroutine.wrap(function() sleep(0) forever() end))\n"
              "ends(coroutine.wrap(function() pcall(sleep, 0) pcall(forever) end))\n"
              "local co = coroutine.create(function() timeout(0.01, forever) end)\n"
              "local ok, err = coroutine.resume(co)\n"
              "eq(ok, false) eq(err.kind, 'timeout') eq(coroutine.status(co), 'dead')\n");
}

static void ends_message_handlers(void **state) {
  expect_chunk(*state, "ends(xpcall, error, forever)\n"
                       "ends(xpcall, error, function() while true do pcall(forever) end end)\n");
}

static void ends_closers(void **state) {
  expect_chunk(*state, "ends(function() local x <close> = closing(forever) end)\n"
                       "ends(function() local x <close> = closing(forever) error 'x' end)\n"
                       "ends(pcall, function() local x <close> = closing(forever) error 'x' end)\n"
                       "local co = coroutine.create(function()\n"
                       "  local x <close> = closing(forever) coroutine.yield() end)\n"
                       "coroutine.resume(co)\n"
                       "ends(coroutine.close, co)\n"
                       "eq(coroutine.status(co), 'dead')\n");
}

static void ends_modules(void **state) {
  expect_chunk(*state, "package.preload['endless'] = forever\n"
                       "ends(require, 'endless')\n"
                       "package.preload['endless'] = function() return 'found' end\n"
                       "eq(require 'endless', 'found')\n");
}

/* ---- who may catch it ---- */

static void is_caught_outside_of_its_scope(void **state) {
  expect_chunk(*state,
               "for _ = 1, 3 do\n"
               "  local ok, err = pcall(timeout, 0.005, forever)\n"
               "  eq(ok, false) eq(err.kind, 'timeout')\n"
               "end\n"
               "eq(timeout(10, function()\n"
               "  local ok, err = pcall(timeout, 0.005, function() pcall(forever) trace '?' end)\n"
               "  eq(ok, false) eq(err.kind, 'timeout')\n"
               "  eq(select(2, pcall(error, 1)), 1)\n"
               "  return 'on'\n"
               "end), 'on')\n");
  expect_trace(*state, "");
}

static void lets_closers_catch_what_is_theirs(void **state) {
  expect_chunk(*state, "ends(function()\n"
                       "  local x <close> = closing(function()\n"
                       "    eq(select(2, pcall(error, 1)), 1)\n"
                       "    eq(select(2, coroutine.resume(coroutine.create(error), 2)), 2)\n"
                       "    trace 'x'\n"
                       "  end)\n"
                       "  forever()\n"
                       "end)\n");
  expect_trace(*state, "x");
}

static void gives_the_traceback_of_where_it_was(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run,
            "local function inner()\n"
            "  while true do end\n"
            "end\n"
            "timeout(0.2, function()\n"
            "  inner()\n"
            "end)");
  turn_until(fixture, run.ended);
  assert_non_null(strstr(run.traceback, "chunk:2:"));
  assert_non_null(strstr(run.traceback, "chunk:5:"));
  expect_failed(&run, "timeout after 0.2 s");
}

/* ---- the grace ---- */

static void ends_what_computes_on_after_its_cancel(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run, "cancel_me 'spec' trace 'a' while true do pcall(forever) end");
  turn_until(fixture, run.ended);
  expect_trace(fixture, "a");
  expect_failed(&run, "cancelled: spec");
}

static int compute_when_failed(lua_State *L) {
  fixture_run_failed(L);
  lua_getglobal(L, "compute");
  lua_call(L, 0, 0);
  return 0;
}

/* Who cancels it from another thread goes on asking. */
static void lets_what_handles_a_cancel_compute(void **state) {
  static const struct fiber_kind kind = {fixture_run_chunk, compute_when_failed,
                                         .ended = fixture_run_ended};
  enum { CALL = 7 };
  struct fixture *fixture = *state;
  struct heartbeat *heartbeat = &fixture->worker.heartbeat;
  struct run run;
  struct fiber *fiber = make_run(fixture, &run,
                                 "function compute()\n"
                                 "  local due = now() + 0.05 while now() < due do end trace 'a'\n"
                                 "end\n"
                                 "forever()");
  fiber->kind = &kind;
  fiber_start(fiber, 0);
  atomic_store(&heartbeat->call, CALL);
  atomic_store(&heartbeat->cancel, CALL);
  turn_until(fixture, run.ended);
  atomic_store(&heartbeat->cancel, 0);
  expect_trace(fixture, "a");
  expect_failed(&run, "cancelled: by its caller");
}

static void ends_texts_of_errors_after_a_grace(void **state) {
  expect_chunk(*state, "local err = setmetatable({}, { __tostring = function()\n"
                       "  while true do pcall(forever) end end })\n"
                       "has(text_of(err), 'an error that is a table and cannot be told')\n"
                       "eq(is_hooked(), false)\n"
                       "has(text_of { deep = err }, 'cannot be told')\n"
                       "eq(text_of { code = 7 }, '{ code = 7 }')\n"
                       "ends(text_of, err)\n");
}

static void ends_closers_after_their_grace(void **state) {
  expect_chunk(*state, "local began = now()\n"
                       "ends(function()\n"
                       "  local a <close> = closing(function() trace 'a' end)\n"
                       "  local b <close> = closing(function()\n"
                       "    trace 'b' while true do pcall(forever) end\n"
                       "  end)\n"
                       "  forever()\n"
                       "end)\n"
                       "assert(now() - began > 0.9)\n"
                       "eq(is_hooked(), false)\n");
}

static void is_interrupted_by_both_of_two_deadlines(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(
      fixture,
      "local ok, err = pcall(function()\n"
      "  timeout(0.4, function()\n"
      "    timeout(0.2, function()\n"
      "      local x <close> = closing(function() trace 'x' forever() end)\n"
      "      forever()\n"
      "    end)\n"
      "  end)\n"
      "end)\n"
      "eq(err.kind, 'timeout') has(err, '0.4')\n"
      "collectgarbage()\n"
      "eq(select(2, pcall(function() collectgarbage() error 'own' end)), 'chunk:11: own')\n");
  expect_trace(fixture, "x");
}

/* Once interrupted, the coroutine yields in its closer, and nobody resumes it any more. */
static void forgets_a_coroutine_that_was_left_in_its_closer(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "local ok, err = pcall(function()\n"
                        "  local it = coroutine.wrap(function()\n"
                        "    timeout(0.2, function()\n"
                        "      local x <close> = closing(function() coroutine.yield 'left' end)\n"
                        "      forever()\n"
                        "    end)\n"
                        "  end)\n"
                        "  eq(it(), 'left')\n"
                        "  it = nil\n"
                        "  collectgarbage() collectgarbage()\n"
                        "  sleep(0)\n"
                        "  error('own', 0)\n"
                        "end)\n"
                        "eq(err, 'own')\n");
}

static void goes_on_with_a_coroutine_that_was_left_in_its_closer(void **state) {
  expect_chunk(*state, "local it = coroutine.wrap(function()\n"
                       "  timeout(0.2, function()\n"
                       "    local x <close> = closing(function() coroutine.yield 'left' end)\n"
                       "    forever()\n"
                       "  end)\n"
                       "end)\n"
                       "eq(it(), 'left')\n"
                       "sleep(0)\n"
                       "fails('timeout', '0.2', it)\n");
}

/* ---- hooks of others ---- */

static void gives_a_debugger_its_hook_back(void **state) {
  expect_chunk(*state, "local count = 0\n"
                       "debug.sethook(function() count = count + 1 end, '', 100)\n"
                       "for _ = 1, 3 do\n"
                       "  ends(forever)\n"
                       "  local before = count\n"
                       "  for _ = 1, 1000 do end\n"
                       "  assert(count >= before + 5)\n"
                       "end\n"
                       "local _, mask, n = debug.gethook()\n"
                       "eq(mask, '') eq(n, 100)\n"
                       "debug.sethook()\n");
}

static void gives_hooks_of_coroutines_back(void **state) {
  expect_chunk(*state, "local calls = 0\n"
                       "local it = coroutine.wrap(function()\n"
                       "  debug.sethook(function() calls = calls + 1 end, 'c')\n"
                       "  pcall(timeout, 0.01, forever)\n"
                       "  local before = calls\n"
                       "  for _ = 1, 10 do math.abs(1) end\n"
                       "  assert(calls >= before + 10)\n"
                       "  coroutine.yield()\n"
                       "  eq(select(2, debug.gethook()), 'c')\n"
                       "end)\n"
                       "it()\n"
                       "eq(debug.gethook(), nil)\n"
                       "ends(forever)\n"
                       "eq(debug.gethook(), nil)\n"
                       "it()\n");
}

/* ---- the signal ---- */

/* signal(offset): as the watchdog would, for a resume that far from this one; whether the hook was
 * set */
static int signal_me(lua_State *L) {
  struct worker *worker = worker_of(L);
  uint64_t resume = atomic_load(&worker->heartbeat.resume);
  atomic_store(&worker->heartbeat.target, resume + (uint64_t)luaL_checkinteger(L, 1));
  interrupt_signal(worker);
  lua_Hook hook = lua_gethook(L);
  lua_sethook(L, NULL, 0, 0);
  lua_pushboolean(L, hook != NULL);
  return 1;
}

static void hits_the_resume_it_is_meant_for(void **state) {
  struct fixture *fixture = *state;
  lua_register(fixture->worker.L, "signal", signal_me);
  expect_chunk(fixture, "eq(signal(0), true)\n"
                        "eq(signal(-2), false) eq(signal(2), false) eq(signal(-1), false)\n"
                        "eq(coroutine.wrap(function() return signal(0) end)(), true)\n"
                        "sleep(0)\n"
                        "eq(signal(-2), false) eq(signal(0), true)\n");
}

static void hits_nobody_while_no_lua_runs(void **state) {
  struct fixture *fixture = *state;
  struct heartbeat *heartbeat = &fixture->worker.heartbeat;
  expect_chunk(fixture, "sleep(0)");
  atomic_store(&heartbeat->target, atomic_load(&heartbeat->resume));
  interrupt_signal(&fixture->worker);
  atomic_store(&heartbeat->target, atomic_load(&heartbeat->resume) - 1); /* late */
  interrupt_signal(&fixture->worker);
  assert_null(lua_gethook(fixture->worker.L));
}

/* The same signal, sent by somebody else. */
static int send_foreign_signals(lua_State *L) {
  raise(SIGURG);
  assert_int_equal(kill(getpid(), SIGURG), 0);
  union sigval value = {.sival_ptr = NULL};
  assert_int_equal(sigqueue(getpid(), SIGURG, value), 0);
  lua_pushboolean(L, lua_gethook(L) != NULL);
  return 1;
}

static void ignores_foreign_signals(void **state) {
  struct fixture *fixture = *state;
  lua_register(fixture->worker.L, "send", send_foreign_signals);
  expect_chunk(fixture, "for _ = 1, 10 do eq(send(), false) end");
}

static void ends_many_in_a_row(void **state) {
  struct fixture *fixture = *state;
  struct run runs[20];
  for (int i = 0; i < 20; i++)
    start_run(fixture, &runs[i],
              i % 2 ? "ends(function() while true do pcall(forever) end end)"
                    : "ends(coroutine.wrap(function() sleep(0) forever() end))");
  for (int i = 0; i < 20; i++) {
    turn_until(fixture, runs[i].ended);
    expect_done(&runs[i]);
  }
}

#define test(name) cmocka_unit_test_setup_teardown(name, start_interruptible, stop_interruptible)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(ends_loops),
      test(ends_loops_of_protected_calls),
      test(ends_below_c_functions),
      test(ends_coroutines),
      test(ends_message_handlers),
      test(ends_closers),
      test(ends_modules),
      test(is_caught_outside_of_its_scope),
      test(lets_closers_catch_what_is_theirs),
      test(gives_the_traceback_of_where_it_was),
      test(ends_what_computes_on_after_its_cancel),
      test(lets_what_handles_a_cancel_compute),
      test(ends_texts_of_errors_after_a_grace),
      test(ends_closers_after_their_grace),
      test(is_interrupted_by_both_of_two_deadlines),
      test(forgets_a_coroutine_that_was_left_in_its_closer),
      test(goes_on_with_a_coroutine_that_was_left_in_its_closer),
      test(gives_a_debugger_its_hook_back),
      test(gives_hooks_of_coroutines_back),
      test(hits_the_resume_it_is_meant_for),
      test(hits_nobody_while_no_lua_runs),
      test(ignores_foreign_signals),
      test(ends_many_in_a_row),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
