/* fiber_end_spec.c - how fibers end, and what is left of them: nothing.
 *
 * Errors reach `failed` with their traceback, `ended` is called once in every ending, coroutines
 * are used again where that is safe, and a hundred thousand fibers leave no byte behind. */
#include "worker_fixture.h"

#include "base/limits.h"

/* ---- ending ---- */

static void gives_error_and_traceback_to_failed(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run,
            "local function inner() error 'bad' end\n"
            "local function outer() inner() end\n"
            "outer()");
  turn(fixture);
  assert_string_equal(run.error, "chunk:1: bad");
  assert_non_null(strstr(run.traceback, "chunk:1:"));
  assert_non_null(strstr(run.traceback, "chunk:2:"));
  assert_non_null(strstr(run.traceback, "chunk:3:"));
  expect_failed(&run, "bad");
  start_run(fixture, &run, "error(setmetatable({}, { __tostring = function() return 'x' end }))");
  turn(fixture);
  assert_string_equal(run.error, "x");
  expect_failed(&run, "x");
  start_run(fixture, &run, "error()");
  turn(fixture);
  assert_string_equal(run.error, "nil");
  expect_failed(&run, "nil");
}

static void joins_the_traceback_of_a_coroutine(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run,
            "local it = coroutine.wrap(function()\n"
            "  error({})\n"
            "end)\n"
            "sleep(0)\n"
            "it()");
  turn_until(fixture, run.ended);
  assert_non_null(strstr(run.traceback, "chunk:2:"));
  assert_non_null(strstr(run.traceback, "called from:"));
  assert_non_null(strstr(run.traceback, "chunk:5:"));
  expect_failed(&run, "table");
}

/* Errors that are kept and raised again, and short strings, are the same value each time. */
static void bounds_the_traceback_of_an_error_raised_again_and_again(void **state) {
  struct fixture *fixture = *state;
  static const char *const chunks[] = {
      "local kept = {} for i = 1, 500 do pcall(timeout, 1, error, kept) end error(kept)",
      "for i = 1, 500 do pcall(coroutine.wrap(error), 'x') end error('x', 0)",
      "for i = 1, 500 do pcall(gather, function() error('x', 0) end) end error('x', 0)"};
  for (size_t i = 0; i < array_len(chunks); i++) {
    struct run run;
    start_run(fixture, &run, chunks[i]);
    turn_until(fixture, run.ended);
    assert_non_null(run.traceback);
    assert_true(strlen(run.traceback) < 2 * TRAIL_BYTES_MAX);
    expect_failed(&run, "");
  }
}

static void makes_no_traceback_for_an_abort_that_is_an_answer(void **state) {
  static const struct fiber_kind answering = {fixture_run_chunk, fixture_run_failed,
                                              .ended = fixture_run_ended, .answers = true};
  struct fixture *fixture = *state;
  struct run runs[2];
  for (int i = 0; i < 2; i++) {
    struct fiber *fiber = make_run(fixture, &runs[i], "require 'perilune'.abort(404)");
    if (i == 0) fiber->kind = &answering;
    fiber_start(fiber, 0);
  }
  turn_until(fixture, runs[1].ended);
  assert_null(runs[0].traceback);
  assert_non_null(runs[1].traceback);
  for (int i = 0; i < 2; i++) expect_failed(&runs[i], "404");
}

static int fail_again(lua_State *L) {
  fixture_run_failed(L);
  return luaL_error(L, "again");
}

static int waited(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  lua_settop(L, 0);
  lua_pushliteral(L, "w");
  return fixture_trace(L);
}

/* What ends a cancelled body may wait: it runs outside of all that was cancelled. */
static int wait_when_failed(lua_State *L) {
  fixture_run_failed(L);
  struct fiber *fiber = fiber_begin_wait(L, "failed");
  return fiber_park_until(L, fiber, "failed", timers_now(fiber->timers) + NS_PER_MS, 0, waited);
}

static void calls_ended_once_however_it_ends(void **state) {
  static const struct fiber_kind silent = {fixture_run_chunk, .ended = fixture_run_ended};
  static const struct fiber_kind twice = {fixture_run_chunk, fail_again,
                                          .ended = fixture_run_ended};
  static const struct fiber_kind waiting = {fixture_run_chunk, wait_when_failed,
                                            .ended = fixture_run_ended};
  struct fixture *fixture = *state;
  struct run run;
  make_run(fixture, &run, "error 'x'")->kind = &silent;
  fiber_start(run.fiber, 0);
  turn(fixture);
  assert_int_equal(run.ended, 1);
  assert_int_equal(run.failed, 0);

  make_run(fixture, &run, "error 'x'")->kind = &twice;
  fiber_start(run.fiber, 0);
  turn(fixture);
  expect_failed(&run, "x");

  make_run(fixture, &run, "cancel_me() sleep(0)")->kind = &waiting;
  fiber_start(run.fiber, 0);
  turn_until(fixture, run.ended);
  expect_failed(&run, "cancelled");
  expect_trace(fixture, "w");

  start_run(fixture, &run, "coroutine.running()");
  turn(fixture);
  expect_done(&run);
  assert_true(list_is_empty(&fixture->worker.fibers));
}

static void closes_variables_before_it_ends(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run,
            "local a <close> = closing(function() trace 'a' sleep(0) trace 'A' end)\n"
            "local b <close> = closing(function() trace 'b' end)\n"
            "error 'x'");
  turn_until(fixture, run.ended);
  expect_trace(fixture, "baA");
  expect_failed(&run, "x");
}

/* ---- reusing coroutines ---- */

static lua_State *run_on(struct fixture *fixture, const char *chunk) {
  struct run run;
  start_run(fixture, &run, chunk);
  lua_State *co = run.fiber->co;
  turn_until(fixture, run.ended);
  free(run.traceback);
  assert_int_equal(run.ended, 1);
  return co;
}

static void uses_a_coroutine_again(void **state) {
  struct fixture *fixture = *state;
  lua_State *co = run_on(fixture, "local a, b = 1, 2 sleep(0)");
  assert_ptr_equal(run_on(fixture, "eq(select('#', ...), 0) error 'x'"), co);
  assert_ptr_equal(run_on(fixture, "cancel_me() sleep(0)"), co);
  assert_ptr_equal(run_on(fixture, "local x <close> = scope(1000) error {}"), co);
  assert_ptr_equal(run_on(fixture, "sleep(0)"), co);
  assert_int_equal(fixture->worker.idle_coroutines, 1);
}

/* Lua may keep what coroutine.running() gave: tables with it as their key would leak into the next
 * fiber. */
static void does_not_use_one_again_that_lua_was_given(void **state) {
  struct fixture *fixture = *state;
  lua_State *co = run_on(fixture, "kept = coroutine.running()");
  assert_ptr_not_equal(run_on(fixture, ""), co);
  expect_chunk(fixture, "eq(coroutine.status(kept), 'dead')\n"
                        "eq(select(2, coroutine.resume(kept)), 'cannot resume dead coroutine')\n"
                        "eq(coroutine.running() == kept, false)\n"
                        "kept = nil");
  /* inside an app's own coroutine it is the app's */
  co = run_on(fixture, "coroutine.wrap(function() inner = coroutine.running() end)()");
  assert_ptr_equal(run_on(fixture, ""), co);
}

static void keeps_a_limited_number_of_idle_coroutines(void **state) {
  struct fixture *fixture = *state;
  enum { FIBERS = IDLE_COROUTINES_MAX + 500 };
  struct run *runs = memory_alloc(FIBERS * sizeof *runs);
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < FIBERS; i++) start_run(fixture, &runs[i], "");
    turn_until(fixture, list_is_empty(&fixture->worker.fibers));
    for (int i = 0; i < FIBERS; i++) expect_done(&runs[i]);
    assert_int_equal(fixture->worker.idle_coroutines, IDLE_COROUTINES_MAX);
  }
  free(runs);
}

/* ---- many ---- */

static size_t count_fibers(struct fixture *fixture) {
  size_t count = 0;
  const struct list *head = &fixture->worker.idle_fibers;
  for (const struct list *link = head->next; link != head; link = link->next) count++;
  return count;
}

static const char *const endings[] = {
    "local t = {}",
    "error 'x'",
    "error {}",
    "cancel_me 'reason' sleep(1)",
    "local s <close> = scope(1000) sleep(0)",
    "local s <close> = scope() cancel_scope(s, 'reason') sleep(0)",
    "timeout(1000, sleep, 0)",
    "coroutine.running()",
    "coroutine.wrap(function() sleep(0) error 'x' end)()",
    "held = coroutine.wrap(function() local s <close> = scope(1000) coroutine.yield() end) held()",
    "local s = scope(1000)", /* popped with its fiber */
    "spawn(error, 'x')",
    "gather(function() sleep(0) end, function() error 'x' end)",
};

static void gives_all_memory_back(void **state) {
  struct fixture *fixture = *state;
  enum { BATCH = 10 * (int)array_len(endings), BATCHES = 100000 / BATCH };
  struct run runs[BATCH];
  size_t before = 0, fibers = 0;
  for (int batch = 0; batch < BATCHES; batch++) {
    for (int i = 0; i < BATCH; i++)
      start_run(fixture, &runs[i], endings[(size_t)i % array_len(endings)]);
    turn_until(fixture, list_is_empty(&fixture->worker.fibers));
    for (int i = 0; i < BATCH; i++) {
      free(runs[i].traceback);
      assert_int_equal(runs[i].ended, 1);
    }
    if (batch != 2) continue;
    before = lua_bytes(fixture);
    fibers = count_fibers(fixture);
  }
  expect_chunk(fixture, "held = nil");
  assert_true(lua_bytes(fixture) <= before + before / 100);
  assert_true(count_fibers(fixture) <= fibers + BATCH);
  assert_int_equal(fixture->worker.timers._count, 0);
}

static void is_dropped_with_its_worker(void **state) {
  struct fixture *fixture = *state;
  static struct run runs[6];
  start_run(fixture, &runs[0], "sleep(1000)");
  start_run(fixture, &runs[1], "timeout(1000, park, 1)");
  start_run(fixture, &runs[2], "coroutine.wrap(function() sleep(1000) end)()");
  start_run(fixture, &runs[3], "gather(function() sleep(1000) end, function() park(2) end)");
  start_run(fixture, &runs[4], "use_clock() sleep(1000)");
  turn(fixture);
  start_run(fixture, &runs[5], "");
  fiber_cancel(runs[1].fiber, "reason");
  fixture_finish_worker(fixture);
  for (int i = 0; i < 6; i++) assert_int_equal(runs[i].ended, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(gives_error_and_traceback_to_failed),
      fixture_test(joins_the_traceback_of_a_coroutine),
      fixture_test(bounds_the_traceback_of_an_error_raised_again_and_again),
      fixture_test(makes_no_traceback_for_an_abort_that_is_an_answer),
      fixture_test(calls_ended_once_however_it_ends),
      fixture_test(closes_variables_before_it_ends),
      fixture_test(uses_a_coroutine_again),
      fixture_test(does_not_use_one_again_that_lua_was_given),
      fixture_test(keeps_a_limited_number_of_idle_coroutines),
      fixture_test(gives_all_memory_back),
      fixture_test(is_dropped_with_its_worker),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
