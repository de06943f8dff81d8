/* mutex_spec.c - mutexes: whose the lock is when its next holder is cancelled, ends or is
 * collected.
 *
 * Unlocking from outside of any fiber hands the lock to a fiber that does not run yet. The rest is
 * in spec/apps/async/sync.lua. */
#include "worker_fixture.h"

static void passes_on_when_its_next_holder_is_cancelled(void **state) {
  struct fixture *fixture = *state;
  struct run runs[3];
  expect_outside(fixture, "m = mutex() guard = m:lock()");
  start_run(fixture, &runs[0], "local g <close> = m:lock() trace 'never'");
  start_run(fixture, &runs[1], "coroutine.wrap(function() local g <close> = m:lock() end)()");
  start_run(fixture, &runs[2], "local g <close> = m:lock() trace 'got'");
  settle(fixture);
  expect_outside(fixture, "guard:unlock() eq(tostring(m), 'mutex: locked, 2 waiting')");
  fiber_cancel(runs[0].fiber, "late");
  fiber_cancel(runs[1].fiber, "early");
  expect_outside(fixture, "eq(tostring(m), 'mutex: locked, 1 waiting')");
  settle(fixture);
  expect_trace(fixture, "got");
  expect_failed(&runs[0], "cancelled: late");
  expect_failed(&runs[1], "cancelled: early");
  expect_done(&runs[2]);
  expect_outside(fixture, "eq(tostring(m), 'mutex: free')");
}

/* The deadline of the next holder passes while the one before it computes. */
static void passes_on_when_a_deadline_has_passed(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture,
               "local m = mutex()\n"
               "local guard = m:lock()\n"
               "local function hold() local g <close> = m:lock() trace 'a' sleep(0) trace 'b' end\n"
               "local late, other = spawn(timeout, 0.02, hold), spawn(hold)\n"
               "checkpoint()\n"
               "local due = now() + 0.02 while now() < due do end\n"
               "guard:unlock()\n"
               "fails('timeout', 'timeout after', late.wait, late)\n"
               "other:wait()\n"
               "eq(tostring(m), 'mutex: free')\n");
  expect_trace(fixture, "ab");
}

static void leaves_the_line_when_cancelled(void **state) {
  struct fixture *fixture = *state;
  struct run runs[2];
  expect_outside(fixture, "m = mutex() guard = m:lock()");
  start_run(fixture, &runs[0], "m:lock()");
  start_run(fixture, &runs[1],
            "use_clock()\n"
            "fails('timeout', 'timeout after', timeout, 2, m.lock, m)\n"
            "eq(tostring(m), 'mutex: locked, 1 waiting') trace 'over'");
  settle(fixture);
  advance(fixture, 2 * NS_PER_SECOND);
  expect_trace(fixture, "over");
  fiber_cancel(runs[0].fiber, NULL);
  settle(fixture);
  expect_failed(&runs[0], "cancelled");
  expect_done(&runs[1]);
  expect_outside(fixture, "eq(tostring(m), 'mutex: locked') guard:unlock()\n"
                          "eq(tostring(m), 'mutex: free')");
}

/* The second fiber is the same struct as the first, in another life. */
static void tells_a_task_from_an_earlier_one(void **state) {
  struct fixture *fixture = *state;
  struct run first, second;
  struct fiber *fiber = start_run(fixture, &first, "m = mutex() guard = m:lock()");
  settle(fixture);
  expect_done(&first);
  assert_ptr_equal(start_run(fixture, &second, "local g <close> = m:lock() trace 'got'"), fiber);
  settle(fixture);
  expect_outside(fixture, "eq(tostring(m), 'mutex: locked, 1 waiting') guard:unlock()");
  settle(fixture);
  expect_trace(fixture, "got");
  expect_done(&second);
}

static void is_unlocked_by_the_collector_outside_of_fibers(void **state) {
  struct fixture *fixture = *state;
  struct run runs[2];
  start_run(fixture, &runs[0], "m = mutex() guard = m:lock()");
  start_run(fixture, &runs[1], "local g <close> = m:lock() trace 'got'");
  settle(fixture);
  expect_outside(fixture, "guard = nil");
  lua_bytes(fixture);
  assert_int_equal(runs[1].fiber->state, FIBER_READY);
  settle(fixture);
  expect_trace(fixture, "got");
  expect_done(&runs[0]);
  expect_done(&runs[1]);
}

/* Nobody but its guard knows the mutex: both go in one cycle. */
static void is_collected_with_its_guard(void **state) {
  struct fixture *fixture = *state;
  size_t before = lua_bytes(fixture);
  expect_outside(fixture, "for _ = 1, 100 do mutex():lock() end");
  lua_bytes(fixture);
  assert_in_range(lua_bytes(fixture), 0, before + 1024);
}

static void can_be_locked_outside_of_a_task_but_not_waited_for(void **state) {
  struct fixture *fixture = *state;
  expect_outside(fixture, "local m = mutex() m:lock():unlock()\n"
                          "local g <close> = m:lock()\n"
                          "fails('misuse', 'mutex:lock cannot wait outside of a task', m.lock, m)");
}

static void serves_many_in_order_and_leaves_nothing(void **state) {
  struct fixture *fixture = *state;
  static const char chunk[] = "local m, tasks, count = mutex(), {}, 0\n"
                              "local guard = m:lock()\n"
                              "for i = 1, 10000 do\n"
                              "  tasks[i] = spawn(function()\n"
                              "    local g <close> = m:lock()\n"
                              "    count = count + 1 eq(count, i)\n"
                              "    if i % 100 == 0 then checkpoint() end\n"
                              "  end)\n"
                              "end\n"
                              "checkpoint()\n"
                              "eq(tostring(m), 'mutex: locked, 10000 waiting')\n"
                              "guard:unlock()\n"
                              "tasks[10000]:wait()\n"
                              "eq(count, 10000) eq(tostring(m), 'mutex: free')\n";
  expect_no_leak(fixture, chunk);
}

static void ends_with_its_state(void **state) {
  struct fixture *fixture = *state;
  struct run runs[2];
  expect_outside(fixture, "m = mutex() guard = m:lock()");
  start_run(fixture, &runs[0], "local g <close> = m:lock()");
  start_run(fixture, &runs[1], "local g <close> = m:lock()");
  settle(fixture);
  fixture_finish_worker(fixture);
  assert_int_equal(runs[0].ended + runs[1].ended, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(passes_on_when_its_next_holder_is_cancelled),
      fixture_test(passes_on_when_a_deadline_has_passed),
      fixture_test(leaves_the_line_when_cancelled),
      fixture_test(tells_a_task_from_an_earlier_one),
      fixture_test(is_unlocked_by_the_collector_outside_of_fibers),
      fixture_test(is_collected_with_its_guard),
      fixture_test(can_be_locked_outside_of_a_task_but_not_waited_for),
      fixture_test(serves_many_in_order_and_leaves_nothing),
      fixture_test(ends_with_its_state),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
