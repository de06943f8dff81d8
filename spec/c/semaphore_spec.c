/* semaphore_spec.c - semaphores: no permit is lost, whatever becomes of who waits or has one.
 *
 * Releasing from outside of any fiber hands the permit to a fiber that does not run yet. The rest
 * is in spec/apps/async/sync.lua. */
#include "worker_fixture.h"

static void passes_on_when_the_next_is_cancelled(void **state) {
  struct fixture *fixture = *state;
  static const char *const chunks[] = {"s:acquire() trace 'never'", "s:with(trace, 'never')",
                                       "coroutine.wrap(function() s:acquire() trace 'never' end)()",
                                       "coroutine.wrap(function() s:with(trace, 'never') end)()"};
  expect_outside(fixture, "s = semaphore(0)");
  for (size_t i = 0; i < array_len(chunks); i++) {
    struct run runs[2];
    start_run(fixture, &runs[0], chunks[i]);
    start_run(fixture, &runs[1], "s:acquire() trace 'got'");
    settle(fixture);
    expect_outside(fixture, "s:release() eq(tostring(s), 'semaphore: 0 free, 1 waiting')");
    fiber_cancel(runs[0].fiber, "late");
    settle(fixture);
    expect_trace(fixture, "got");
    expect_failed(&runs[0], "cancelled: late");
    expect_done(&runs[1]);
    expect_outside(fixture, "eq(tostring(s), 'semaphore: 0 free')");
  }
}

static void is_free_again_when_nobody_is_next(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  expect_outside(fixture, "s = semaphore(0)");
  start_run(fixture, &run, "s:with(trace, 'never')");
  settle(fixture);
  expect_outside(fixture, "s:release() eq(tostring(s), 'semaphore: 0 free')");
  fiber_cancel(run.fiber, "late");
  settle(fixture);
  expect_failed(&run, "cancelled: late");
  expect_outside(fixture, "eq(tostring(s), 'semaphore: 1 free')");
}

static void passes_on_when_a_deadline_has_passed(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "local s = semaphore(0)\n"
                        "local late = spawn(timeout, 0.02, s.with, s, trace, 'never')\n"
                        "local later = spawn(timeout, 0.02, s.acquire, s)\n"
                        "checkpoint()\n"
                        "local due = now() + 0.02 while now() < due do end\n"
                        "s:release()\n"
                        "fails('timeout', 'timeout after', late.wait, late)\n"
                        "fails('timeout', 'timeout after', later.wait, later)\n"
                        "eq(tostring(s), 'semaphore: 1 free')\n");
  expect_trace(fixture, "");
}

static void leaves_the_line_when_cancelled(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  expect_outside(fixture, "s = semaphore(0)");
  start_run(fixture, &run,
            "use_clock()\n"
            "fails('timeout', 'timeout after', timeout, 2, s.acquire, s)\n"
            "fails('timeout', 'timeout after', timeout, 2, s.with, s, trace, 'never')\n"
            "eq(tostring(s), 'semaphore: 0 free') trace 'over'");
  settle(fixture);
  advance(fixture, 4 * NS_PER_SECOND);
  expect_trace(fixture, "over");
  expect_done(&run);
}

/* After their grace close handlers, methods in C included, are interrupted at every step. */
static void is_released_though_a_close_handler_goes_on(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "local s = semaphore(1)\n"
                        "local function forever() while true do end end\n"
                        "fails('timeout', 'timeout after', timeout, 0.02, s.with, s, function()\n"
                        "  local x <close> = closing(forever)\n"
                        "  local y <close> = closing(forever)\n"
                        "  forever()\n"
                        "end)\n"
                        "eq(tostring(s), 'semaphore: 1 free')\n");
}

static void is_released_once(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "local s = semaphore(1)\n"
                        "local co = coroutine.create(function()\n"
                        "  s:with(function() s:with(function() end) end)\n"
                        "end)\n"
                        "local task = spawn(function() coroutine.resume(co) end)\n"
                        "checkpoint() s:release() task:wait() collectgarbage()\n"
                        "eq(coroutine.status(co), 'dead') eq(tostring(s), 'semaphore: 2 free')\n");
}

static void may_be_released_beyond_its_number(void **state) {
  struct fixture *fixture = *state;
  expect_outside(fixture, "local s = semaphore(0)\n"
                          "for _ = 1, 3 do s:release() end\n"
                          "for _ = 1, 3 do s:acquire() end\n"
                          "fails('misuse', 'semaphore:acquire cannot wait outside of a task',\n"
                          "  s.acquire, s)\n"
                          "s = semaphore(1000000000)\n"
                          "fails('misuse', 'at most 1000000000 permits', s.release, s)\n"
                          "s:with(function() s:release() end)\n"
                          "eq(tostring(s), 'semaphore: 1000000001 free')\n");
}

static void is_released_by_the_collector_outside_of_fibers(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  expect_outside(fixture, "s = semaphore(1)\n"
                          "it = coroutine.wrap(function() s:with(coroutine.yield) end) it()");
  start_run(fixture, &run, "s:with(trace, 'got')");
  settle(fixture);
  expect_outside(fixture, "eq(tostring(s), 'semaphore: 0 free, 1 waiting') it = nil");
  lua_bytes(fixture);
  assert_int_equal(run.fiber->state, FIBER_READY);
  settle(fixture);
  expect_trace(fixture, "got");
  expect_done(&run);
}

static void serves_many_in_order_and_leaves_nothing(void **state) {
  struct fixture *fixture = *state;
  static const char chunk[] = "local s, tasks, count = semaphore(0), {}, 0\n"
                              "local function enter(i) count = count + 1 eq(count, i) end\n"
                              "for i = 1, 10000 do tasks[i] = spawn(s.with, s, enter, i) end\n"
                              "checkpoint()\n"
                              "eq(tostring(s), 'semaphore: 0 free, 10000 waiting')\n"
                              "s:release() tasks[10000]:wait()\n"
                              "eq(count, 10000) eq(tostring(s), 'semaphore: 1 free')\n";
  expect_no_leak(fixture, chunk);
}

static void ends_with_its_state(void **state) {
  struct fixture *fixture = *state;
  struct run runs[2];
  expect_outside(fixture, "s = semaphore(1)");
  start_run(fixture, &runs[0], "s:with(sleep, 1000)");
  start_run(fixture, &runs[1], "s:acquire()");
  settle(fixture);
  fixture_finish_worker(fixture);
  assert_int_equal(runs[0].ended + runs[1].ended, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(passes_on_when_the_next_is_cancelled),
      fixture_test(is_free_again_when_nobody_is_next),
      fixture_test(passes_on_when_a_deadline_has_passed),
      fixture_test(leaves_the_line_when_cancelled),
      fixture_test(is_released_though_a_close_handler_goes_on),
      fixture_test(is_released_once),
      fixture_test(may_be_released_beyond_its_number),
      fixture_test(is_released_by_the_collector_outside_of_fibers),
      fixture_test(serves_many_in_order_and_leaves_nothing),
      fixture_test(ends_with_its_state),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
