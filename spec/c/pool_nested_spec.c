/* pool_nested_spec.c - calls made in the code of calls: ways, replacements, circles, ends.
 *
 * The pools a, b and c have one thread each; `run_in_a(text, ...)` runs a chunk there. Which thread
 * ran is told by the address of its globals. */
#include "pool_fixture.h"

#include <string.h>

/* One thread in each, and room for calls that wait. */
static int start_three(void **state) {
  start_site(state);
  struct site *site = *state;
  pools_configure(site->pools, "a", 1, 500);
  pools_configure(site->pools, "b", 1, 500);
  pools_configure(site->pools, "c", 1, 500);
  return 0;
}

static struct pool_counts count_pool(struct site *site, const char *name) {
  struct pool_counts counts[8];
  size_t count = pools_count(site->pools, counts, array_len(counts));
  for (size_t i = 0; i < count; i++)
    if (strcmp(counts[i].name, name) == 0) return counts[i];
  fail_msg("no pool %s", name);
  return counts[0];
}

#define turn_until_pool(site, name, condition)                                                     \
  do {                                                                                             \
    struct pool_counts pool;                                                                       \
    turn_until((site)->fixture, (pool = count_pool(site, name), condition));                       \
  } while (0)

/* ---- ways ---- */

static void crosses_to_the_pool_that_is_named(void **state) {
  expect_call(*state,
              "local a, b = run_in_a [[return tostring(_G), (run_in_b 'return tostring(_G)')]]\n"
              "eq(a == b, false)\n"
              "eq(run_in_b 'return tostring(_G)', b) eq(run_in_a 'return tostring(_G)', a)\n"
              "local t = run_in_a [[local t = { 1 } return run_in_b('(...)[1] = 2 return ...', t)\n"
              "  == t, t[1] ]]\n"
              "eq(t, false)\n"
              "eq(select(2, run_in_a [[local t = { 1 } run_in_b('(...)[1] = 2', t)\n"
              "  return 1, t[1] ]]), 1)\n"
              "eq(run_in_a [[return run_blocking({ pool = 'b' }, function() return 7 end)]], 7)\n"
              "local x, y = run_in_a [[return tostring(_G),\n"
              "  run_blocking({ pool = 'b' }, function() return tostring(_G) end)]]\n"
              "eq(x, a) eq(y, b)\n");
}

static void runs_inline_what_is_in_the_chain(void **state) {
  struct site *site = *state;
  expect_call(site, "local b, c = run_in_a [==[return run_in_b [=[\n"
                    "  return tostring(_G), (run_in_a [[return tostring(_G)]])]=] ]==]\n"
                    "eq(b, c)\n"
                    "local a, same = run_in_a [[local t = { 1 } run_in_a('(...)[1] = 2', t)\n"
                    "  return tostring(_G) == run 'return tostring(_G)', t[1] ]]\n"
                    "eq(a, true) eq(same, 2)\n");
  assert_int_equal(count_pool(site, "default").threads, 0);
}

static void gives_errors_and_timeouts_through_all_pools(void **state) {
  struct site *site = *state;
  struct run run;
  expect_call(site, "fails('misuse', 'deep', run_in_a, [[run_in_b 'error \"deep\"']])\n"
                    "local err = fails('timeout', 'timeout after 0.01', run_in_a,\n"
                    "  [[run_blocking({ pool = 'b', timeout = 0.01 }, function()\n"
                    "    while true do end end)]])\n"
                    "fails('transfer', 'argument 2 (thread)', run_in_a,\n"
                    "  [[run_in_b('', coroutine.create(print))]])\n"
                    "fails('misuse', \"no pool 'nowhere'\", run_in_a, 'nowhere()')\n"
                    "eq(run_in_a [[return run_in_b 'return 1']], 1)\n");
  start_run(site->fixture, &run, "run_in_a [[\nlocal x = run_in_b 'error \"deep\"' return x]]");
  turn_until(site->fixture, run.ended);
  const char *first = strstr(run.traceback, "called from:");
  assert_true(first && strstr(first + 1, "called from:") && strstr(run.traceback, "chunk:1:"));
  expect_failed(&run, "deep");
}

static void refuses_when_the_other_pool_is_full(void **state) {
  struct site *site = *state;
  struct run runs[2];
  pools_configure(site->pools, "b", 1, 1);
  start_run(site->fixture, &runs[0], "run_in_b 'count(BEGUN) await(GATE, 1)'");
  turn_until_counted(site, BEGUN, 1);
  start_run(site->fixture, &runs[1], "run_in_b ''");
  turn(site->fixture);
  expect_call(site, "fails('full', \"the queue of pool 'b' is full\", run_in_a, [[run_in_b '']])");
  assert_int_equal(count_pool(site, "b").figures.rejected, 1);
  atomic_store(&counters[GATE], 1);
  for (int i = 0; i < 2; i++) {
    turn_until(site->fixture, runs[i].ended);
    expect_done(&runs[i]);
  }
}

/* ---- replacements ---- */

static void goes_on_while_a_thread_waits_for_another_pool(void **state) {
  struct site *site = *state;
  struct run run;
  start_run(site->fixture, &run,
            "eq(run_in_a [[\n"
            "  return run_in_b 'count(BEGUN) await(GATE, 1) return 5']], 5)");
  turn_until_counted(site, BEGUN, 1);
  for (int i = 0; i < 3; i++) expect_call(site, "eq(run_in_a 'return 6', 6)");
  struct pool_counts a = count_pool(site, "a");
  assert_true(a.threads <= 2); /* it may have been idle for long */
  assert_int_equal(a.waiting, 1);
  atomic_store(&counters[GATE], 1);
  turn_until(site->fixture, run.ended);
  expect_done(&run);
  a = count_pool(site, "a"); /* what was idle, and one too many, has left */
  assert_true(a.threads <= 1);
  assert_int_equal(a.waiting, 0);
  expect_call(site, "eq(run_in_a 'return 6', 6)");
}

/* What runs when the wait is over ends its call; then there is one too many. */
static void ends_the_thread_that_is_too_many_after_its_call(void **state) {
  struct site *site = *state;
  struct run waits, runs;
  start_run(site->fixture, &waits, "run_in_a [[run_in_b 'count(BEGUN) await(GATE, 1)']]");
  turn_until_counted(site, BEGUN, 1);
  start_run(site->fixture, &runs, "run_in_a 'count(BEGUN) await(GATE, 2)'");
  turn_until_counted(site, BEGUN, 2);
  atomic_store(&counters[GATE], 1);
  turn_until(site->fixture, waits.ended);
  expect_done(&waits);
  assert_false(runs.ended);
  atomic_store(&counters[GATE], 2);
  turn_until(site->fixture, runs.ended);
  expect_done(&runs);
  turn_until_pool(site, "a", pool.threads <= 1);
}

static void has_one_replacement_at_most(void **state) {
  struct site *site = *state;
  struct run runs[6];
  pools_configure(site->pools, "b", 6, 100);
  for (int i = 0; i < 6; i++)
    start_run(site->fixture, &runs[i], "run_in_a [[run_in_b 'count(BEGUN) await(GATE, 1)']]");
  turn_until_counted(site, BEGUN, 2);
  turn_until_pool(site, "a", pool.queued == 4);
  struct pool_counts a = count_pool(site, "a");
  assert_int_equal(a.threads, 2);
  assert_int_equal(a.waiting, 2);
  assert_int_equal(counted(BEGUN), 2);
  atomic_store(&counters[GATE], 1);
  for (int i = 0; i < 6; i++) {
    turn_until(site->fixture, runs[i].ended);
    expect_done(&runs[i]);
  }
  turn_until_pool(site, "a", pool.threads <= 1);
}

/* ---- no circle ---- */

enum { CROWD = 90 };

static void expect_all_end(struct site *site, const char *const *chunks, size_t count) {
  static struct run runs[CROWD];
  for (size_t i = 0; i < CROWD; i++) start_run(site->fixture, &runs[i], chunks[i % count]);
  for (size_t i = 0; i < CROWD; i++) {
    turn_until(site->fixture, runs[i].ended);
    expect_done(&runs[i]);
  }
  turn_until_pool(site, "a", pool.threads <= 1 && pool.waiting == 0);
}

static void never_waits_in_a_circle_of_two(void **state) {
  static const char *const chunks[] = {"eq(run_in_a [[sleep(0) return run_in_b 'return 1']], 1)",
                                       "eq(run_in_b [[sleep(0) return run_in_a 'return 2']], 2)"};
  for (int i = 0; i < 5; i++) expect_all_end(*state, chunks, array_len(chunks));
}

static void never_waits_in_a_circle_of_three(void **state) {
  static const char *const chunks[] = {
      "eq(run_in_a [==[return run_in_b [=[return run_in_c 'sleep(0) return 1']=] ]==], 1)",
      "eq(run_in_b [==[return run_in_c [=[return run_in_a 'return run_in_b [[return 2]]']=] ]==], "
      "2)",
      "eq(run_in_c [==[return run_in_a [=[return run_in_b 'return run_in_c [[return 3]]']=] ]==], "
      "3)",
      "eq(run_in_a [==[return run_in_c [=[return run_in_b 'return 4']=] ]==], 4)",
      "eq(run_in_a [[local a, b, c = gather(function() return run_in_b 'return 1' end,\n"
      "  function() return run_in_c 'return run_in_a [==[return 2]==]' end,\n"
      "  function() return run_in_a 'return run_in_b [==[return 3]==]' end)\n"
      "  return a + b + c]], 6)"};
  for (int i = 0; i < 3; i++) expect_all_end(*state, chunks, array_len(chunks));
}

/* Both pools' threads wait before either goes on: the last one to do so runs it inline. */
static void runs_inline_what_would_close_a_circle(void **state) {
  struct site *site = *state;
  struct run runs[4];
  for (int i = 0; i < 4; i++)
    start_run(site->fixture, &runs[i],
              i % 2 ? "run_in_a [[count(BEGUN) await(GATE, 1) run_in_b 'sleep(0.001)']]"
                    : "run_in_b [[count(BEGUN) await(GATE, 1) run_in_a 'sleep(0.001)']]");
  turn_until_counted(site, BEGUN, 2);
  atomic_store(&counters[GATE], 1);
  for (int i = 0; i < 4; i++) {
    turn_until(site->fixture, runs[i].ended);
    expect_done(&runs[i]);
  }
}

/* Both threads of a wait for b, of b one waits for a and one for the only thread of c: that may not
 * wait for a, though c could start another thread. */
static void never_waits_in_a_circle_through_a_pool_that_may_start_a_thread(void **state) {
  struct site *site = *state;
  struct run runs[4];
  start_run(site->fixture, &runs[0],
            "run_in_b [==[run_in_c 'await(GATE, 1)'\n"
            "  count(BEGUN) await(GATE, 3) run_in_c [[run_in_a '']] ]==]");
  turn_until_pool(site, "b", pool.waiting == 1);
  start_run(site->fixture, &runs[1], "run_in_b [[count(BEGUN) await(GATE, 2) run_in_a '']]");
  turn_until_counted(site, BEGUN, 1);
  atomic_store(&counters[GATE], 1);
  turn_until_counted(site, BEGUN, 2);
  for (int i = 2; i < 4; i++) start_run(site->fixture, &runs[i], "run_in_a [[run_in_b '']]");
  turn_until_pool(site, "a", pool.waiting == 2);
  atomic_store(&counters[GATE], 2);
  turn_until_pool(site, "b", pool.waiting == 1);
  atomic_store(&counters[GATE], 3);
  for (int i = 0; i < 4; i++) {
    turn_until(site->fixture, runs[i].ended);
    expect_done(&runs[i]);
  }
}

/* ---- children ---- */

static void gives_children_to_idle_threads(void **state) {
  struct site *site = *state;
  expect_call(site, "local list = run [[return map({ 1, 2, 3, 4 }, function(n)\n"
                    "  return run('count(BEGUN) await(BEGUN, 4) return tostring(_G)', n) end)]]\n"
                    "local seen, count = {}, 0\n"
                    "for i = 1, 4 do\n"
                    "  if not seen[list[i]] then seen[list[i]] = true count = count + 1 end end\n"
                    "eq(count, 3)\n");
  assert_int_equal(counted(LOADS), 4); /* the caller's, and those of all three threads */
}

static void runs_children_inline_when_no_thread_is_idle(void **state) {
  struct site *site = *state;
  expect_call(site, "local a, b, c = run_in_a [[\n"
                    "  local here = tostring(_G)\n"
                    "  local function there() return run_in_a 'return tostring(_G)' == here end\n"
                    "  return gather(there, there, spawn(there))]]\n"
                    "eq(a and b and c, true)\n"
                    "eq(run_in_a [[return #map({ 1, 2, 3 }, function() return run_in_a 'return 1'\n"
                    "  end)]], 3)\n");
  assert_true(count_pool(site, "a").threads <= 1);
}

static void computes_on_several_threads(void **state) {
  struct site *site = *state;
  /* Each computes until the other does: that ends only if both run at once. */
  expect_call(site, "run [[gather({ run, 'count(BEGUN) while counter(BEGUN) < 2 do end' },\n"
                    "  { run, 'count(BEGUN) while counter(BEGUN) < 2 do end' })]]\n");
  assert_int_equal(counted(BEGUN), 2);
}

/* ---- the end ---- */

static const char computes_in_b[] =
    "run_in_a [==[run_in_b [[local c <close> = setmetatable({}, { __close = function()\n"
    "  count(CLOSED) end }) count(BEGUN) while true do end]] ]==]";

static void ends_in_all_pools_when_cancelled(void **state) {
  struct site *site = *state;
  struct run run;
  for (int i = 1; i <= 3; i++) {
    start_run(site->fixture, &run, computes_in_b);
    turn_until_counted(site, BEGUN, i);
    fiber_cancel(run.fiber, "spec");
    settle(site->fixture);
    expect_failed(&run, "cancelled: spec");
    turn_until_counted(site, CLOSED, i);
    expect_call(site, "eq(run_in_a 'return 1', 1) eq(run_in_b 'return 2', 2)");
  }
  turn_until_pool(site, "a", pool.threads <= 1 && pool.waiting == 0);
}

static void leaves_the_other_queue_when_cancelled(void **state) {
  struct site *site = *state;
  struct run holds, waits;
  start_run(site->fixture, &holds, "run_in_b 'count(BEGUN) await(GATE, 1)'");
  turn_until_counted(site, BEGUN, 1);
  start_run(site->fixture, &waits, "run_in_a [[run_in_b 'count(BEGUN)']]");
  turn_until_pool(site, "b", pool.queued == 1);
  fiber_cancel(waits.fiber, "spec");
  turn_until_pool(site, "b", pool.queued == 0);
  turn_until_pool(site, "a", pool.waiting == 0);
  assert_int_equal(count_pool(site, "b").figures.cancelled, 1);
  atomic_store(&counters[GATE], 1);
  turn_until(site->fixture, holds.ended);
  expect_done(&holds);
  expect_failed(&waits, "cancelled: spec");
  expect_call(site, "run_in_b ''");
  assert_int_equal(counted(BEGUN), 1);
}

static void stops_while_calls_wait_for_calls(void **state) {
  struct site *site = *state;
  struct run runs[6];
  for (int i = 0; i < 6; i++) start_run(site->fixture, &runs[i], computes_in_b);
  turn_until_counted(site, BEGUN, 1);
  destroy_pools(site);
  settle(site->fixture);
  for (int i = 0; i < 6; i++) {
    assert_true(runs[i].ended);
    free(runs[i].traceback);
  }
  assert_int_equal(counted(CLOSED), counted(BEGUN));
}

static void settles_while_calls_wait_for_calls(void **state) {
  struct site *site = *state;
  struct run runs[4];
  for (int i = 0; i < 4; i++) start_run(site->fixture, &runs[i], computes_in_b);
  turn_until_counted(site, BEGUN, 1);
  pools_settle(site->pools, NULL, NULL);
  turn_until(site->fixture, !pools_are_settling(site->pools));
  settle(site->fixture);
  for (int i = 0; i < 4; i++) {
    assert_true(runs[i].ended);
    free(runs[i].traceback);
  }
  expect_call(site, "eq(run_in_a [[return run_in_b 'return 1']], 1)");
  assert_int_equal(count_pool(site, "a").waiting, 0);
}

/* A call that its queue gives back is not waited for any more, whatever its caller does then. */
static void waits_for_nothing_that_was_given_back(void **state) {
  struct site *site = *state;
  struct run holds, waits;
  start_run(site->fixture, &holds, "run_in_b 'count(BEGUN) await(GATE, 1)'");
  turn_until_counted(site, BEGUN, 1);
  start_run(site->fixture, &waits,
            "run_in_a [[local c <close> = setmetatable({}, { __close = function()\n"
            "  collectgarbage() count(CLOSED) hold(GATE, 1) end }) run_in_b '']]");
  turn_until_pool(site, "b", pool.queued == 1);
  pools_settle(site->pools, NULL, NULL);
  turn_until_counted(site, CLOSED, 1);
  int waiting = count_pool(site, "a").waiting;
  atomic_store(&counters[GATE], 1);
  turn_until(site->fixture, !pools_are_settling(site->pools) && holds.ended && waits.ended);
  assert_int_equal(waiting, 0);
  expect_failed(&waits, "the call was not run");
  free(holds.traceback);
}

#define three_test(name) cmocka_unit_test_setup_teardown(name, start_three, stop_site)

int main(void) {
  const struct CMUnitTest tests[] = {
      three_test(crosses_to_the_pool_that_is_named),
      three_test(runs_inline_what_is_in_the_chain),
      three_test(gives_errors_and_timeouts_through_all_pools),
      three_test(refuses_when_the_other_pool_is_full),
      three_test(goes_on_while_a_thread_waits_for_another_pool),
      three_test(ends_the_thread_that_is_too_many_after_its_call),
      three_test(has_one_replacement_at_most),
      three_test(never_waits_in_a_circle_of_two),
      three_test(never_waits_in_a_circle_of_three),
      three_test(runs_inline_what_would_close_a_circle),
      three_test(never_waits_in_a_circle_through_a_pool_that_may_start_a_thread),
      three_test(gives_children_to_idle_threads),
      three_test(runs_children_inline_when_no_thread_is_idle),
      three_test(computes_on_several_threads),
      three_test(ends_in_all_pools_when_cancelled),
      three_test(leaves_the_other_queue_when_cancelled),
      three_test(stops_while_calls_wait_for_calls),
      three_test(settles_while_calls_wait_for_calls),
      three_test(waits_for_nothing_that_was_given_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
