/* call_run_spec.c - who belongs to a call: what its fibers start, and for how long.
 *
 * The calls here are made by nobody and have no function; what is looked at is who finds which. */
#include "worker_fixture.h"

#include "core/call.h"
#include "core/call_run.h"

static struct call calls[2];

/* which() -> the number of the call that the running code belongs to, or 0 */
static int which(lua_State *L) {
  const struct call *call = call_run_find(L);
  lua_pushinteger(L, call ? call - calls + 1 : 0);
  return 1;
}

/* A chunk in a fiber that belongs to the run. */
static void start_in(struct fixture *fixture, struct call_run *call_run, struct run *run,
                     const char *chunk) {
  lua_register(fixture->worker.L, "which", which);
  struct fiber *fiber = make_run(fixture, run, chunk);
  call_run_give(fiber, call_run);
  call_run_give(fiber, call_run); /* twice is once */
  fiber_start(fiber, 0);
}

static void is_found_by_all_that_its_fibers_start(void **state) {
  struct fixture *fixture = *state;
  struct call_run *runs[] = {call_run_begin(&calls[0]), call_run_begin(&calls[1])};
  struct run first, second, none;
  static const char chunk[] =
      "local mine = which()\n"
      "sleep(0)\n"
      "gather(function() sleep(0) trace(mine .. which()) end,\n"
      "  function() spawn(function() trace(mine .. which()) end):wait() end)\n"
      "trace(mine .. coroutine.wrap(function() return which() end)())\n";
  start_in(fixture, runs[0], &first, chunk);
  turn_until(fixture, first.ended);
  expect_done(&first);
  expect_trace(fixture, "111111");
  start_in(fixture, runs[1], &second, chunk);
  turn_until(fixture, second.ended);
  expect_done(&second);
  expect_trace(fixture, "222222");
  start_run(fixture, &none, "eq(which(), 0) spawn(function() eq(which(), 0) end):wait()");
  turn_until(fixture, none.ended);
  expect_done(&none);
  for (size_t i = 0; i < array_len(runs); i++) {
    assert_int_equal(runs[i]->users, 1);
    call_run_end(runs[i]);
  }
}

static void many_at_once_are_told_apart(void **state) {
  struct fixture *fixture = *state;
  struct call_run *runs[] = {call_run_begin(&calls[0]), call_run_begin(&calls[1])};
  struct run first, second;
  start_in(fixture, runs[0], &first, "for i = 1, 3 do eq(which(), 1) sleep(0) end");
  start_in(fixture, runs[1], &second, "for i = 1, 3 do eq(which(), 2) sleep(0) end");
  turn_until(fixture, first.ended && second.ended);
  expect_done(&first);
  expect_done(&second);
  call_run_end(runs[0]);
  call_run_end(runs[1]);
}

static void is_nothing_to_those_that_outlive_it(void **state) {
  struct fixture *fixture = *state;
  struct call_run *call_run = call_run_begin(&calls[0]);
  struct run run;
  start_in(fixture, call_run, &run,
           "spawn(function() eq(which(), 1) park(1) trace('after ' .. which())\n"
           "  spawn(function() trace(' below ' .. which()) end):wait() end) sleep(0)");
  turn_until(fixture, run.ended && fixture->tickets[1].fiber);
  expect_done(&run);
  assert_int_equal(call_run->users, 2);
  call_run_end(call_run);
  fiber_wake(fixture->tickets[1]);
  turn_until(fixture, list_is_empty(&fixture->worker.fibers));
  expect_trace(fixture, "after 0 below 0");
}

static void of_nothing_may_be_ended(void **state) {
  (void)state;
  call_run_end(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(is_found_by_all_that_its_fibers_start, start_fixture,
                                      stop_fixture),
      cmocka_unit_test_setup_teardown(many_at_once_are_told_apart, start_fixture, stop_fixture),
      cmocka_unit_test_setup_teardown(is_nothing_to_those_that_outlive_it, start_fixture,
                                      stop_fixture),
      cmocka_unit_test_setup_teardown(of_nothing_may_be_ended, start_fixture, stop_fixture),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
