/* event_spec.c - events: set, time over and cancelled in any order before the one that waits runs.
 *
 * Setting one from outside of any fiber wakes a fiber that does not run yet. The rest is in
 * spec/apps/async/sync.lua. */
#include "worker_fixture.h"

static void was_set_before_the_time_was_over(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run, "use_clock() e = event() eq(e:wait(2), true) trace 'set'");
  settle(fixture);
  expect_outside(fixture, "e:set() e:clear() eq(tostring(e), 'event: not set')");
  pass_time(fixture, 5 * NS_PER_SECOND);
  settle(fixture);
  expect_trace(fixture, "set");
  expect_done(&run);
}

static void was_set_after_the_time_was_over(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run,
            "use_clock() e = event()\n"
            "fails('timeout', 'the event was not set in time', e.wait, e, 2)\n"
            "eq(e:wait(2), true) trace 'set'");
  settle(fixture);
  pass_time(fixture, 2 * NS_PER_SECOND);
  assert_int_equal(run.fiber->state, FIBER_READY);
  expect_outside(fixture, "e:set() eq(tostring(e), 'event: set')");
  settle(fixture);
  expect_trace(fixture, "set");
  expect_done(&run);
}

static void waits_to_the_end_of_its_time(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run, "use_clock() fails('timeout', '', event().wait, event(), 2) trace 'a'");
  settle(fixture);
  advance(fixture, 2 * NS_PER_SECOND - 1);
  expect_trace(fixture, "");
  advance(fixture, 1);
  expect_trace(fixture, "a");
  expect_done(&run);
  assert_int_equal(fixture->clock._count, 0);
}

static void was_set_before_the_cancel(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run, "e = event() eq(e:wait(), true) trace 'set' e:wait()");
  settle(fixture);
  expect_outside(fixture, "e:set()");
  fiber_cancel(run.fiber, "late");
  settle(fixture);
  expect_trace(fixture, "set");
  expect_failed(&run, "cancelled: late");
}

static void was_set_after_the_cancel(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run, "e = event() e:wait(1000)");
  settle(fixture);
  fiber_cancel(run.fiber, "early");
  expect_outside(fixture, "e:set()");
  settle(fixture);
  expect_failed(&run, "cancelled: early");
}

static void cannot_be_waited_for_outside_of_a_task(void **state) {
  struct fixture *fixture = *state;
  expect_outside(fixture, "local e = event() e:set() eq(e:wait(), true) e:clear()\n"
                          "fails('misuse', 'event:wait cannot wait outside of a task', e.wait, e)");
}

static void lets_many_go_on_and_leaves_nothing(void **state) {
  struct fixture *fixture = *state;
  static const char chunk[] = "local e, tasks, count = event(), {}, 0\n"
                              "for i = 1, 10000 do\n"
                              "  tasks[i] = spawn(function()\n"
                              "    e:wait(1000) count = count + 1\n"
                              "  end)\n"
                              "end\n"
                              "checkpoint()\n"
                              "eq(tostring(e), 'event: not set, 10000 waiting')\n"
                              "e:set() for i = 1, 10000 do tasks[i]:wait() end\n"
                              "eq(count, 10000)\n";
  expect_no_leak(fixture, chunk);
}

static void ends_with_its_state(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run, "e = event() e:wait(1000)");
  settle(fixture);
  expect_outside(fixture, "setmetatable({}, { __gc = function() e:set() end })");
  fixture_finish_worker(fixture);
  assert_int_equal(run.ended, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(was_set_before_the_time_was_over),
      fixture_test(was_set_after_the_time_was_over),
      fixture_test(waits_to_the_end_of_its_time),
      fixture_test(was_set_before_the_cancel),
      fixture_test(was_set_after_the_cancel),
      fixture_test(cannot_be_waited_for_outside_of_a_task),
      fixture_test(lets_many_go_on_and_leaves_nothing),
      fixture_test(ends_with_its_state),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
