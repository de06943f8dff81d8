/* pool_lost_spec.c - threads of a pool that are stuck in C when their call is given up.
 *
 * What is stuck goes on until a gate opens, so every state between is waited for, and none passes
 * by itself. The caller never waits for the gate. */
#include "pool_fixture.h"

#include "base/limits.h"

static struct pool_counts count_default(struct site *site) {
  struct pool_counts counts[2];
  assert_int_equal(pools_count(site->pools, counts, 2), 2);
  assert_string_equal(counts[0].name, "default");
  return counts[0];
}

static bool is_in_log(struct site *site, const char *part) {
  char *text = read_log(site->fixture);
  bool found = strstr(text, part) != NULL;
  free(text);
  return found;
}

/* A test that fails leaves nothing that the end would wait for. */
static int stop_open_site(void **state) {
  atomic_store(&counters[GATE], 1);
  return stop_site(state);
}

/* What was stuck is interrupted when its C function has returned. */
static void open_gate(struct site *site) {
  atomic_store(&counters[GATE], 1);
  turn_until(site->fixture, count_default(site).lost == 0 && count_default(site).busy == 0);
  assert_int_equal(counted(ENDED), 0);
  atomic_store(&counters[GATE], 0);
}

/* Starts a call that gets stuck, and cancels its caller, who does not wait for it. */
static void lose_thread(struct site *site) {
  struct run run;
  int begun = counted(BEGUN), lost = count_default(site).lost;
  start_run(site->fixture, &run, "holds()");
  turn_until_counted(site, BEGUN, begun + 1);
  fiber_cancel(run.fiber, "spec");
  settle(site->fixture);
  expect_failed(&run, "cancelled: spec");
  turn_until(site->fixture, count_default(site).lost == lost + 1);
}

static void tells_of_a_thread_while_it_is_stuck(void **state) {
  struct site *site = *state;
  lose_thread(site);
  turn_until(site->fixture, is_in_log(site, "thread 1 of pool default: "));
  assert_true(is_in_log(site, " s in hold, called from "));
  assert_true(is_in_log(site, "app.lua:"));
  assert_true(is_in_log(site, "in hold_in_c"));
  assert_true(is_in_log(site, "lost: another thread may take its place"));
  open_gate(site);
}

static void replaces_a_thread_and_takes_it_back(void **state) {
  struct site *site = *state;
  lose_thread(site);
  expect_call(site, "eq(add(1, 2), 3)");
  assert_int_equal(counted(LOADS), 3); /* the caller's, the lost thread's and the other one's */
  assert_int_equal(count_default(site).threads, 2);
  open_gate(site);
  turn_until(site->fixture, count_default(site).threads == 1); /* one ends: there is no room */
  expect_call(site, "eq(add(1, 2), 3)");
  assert_int_equal(counted(LOADS), 3);
}

static void uses_the_state_again(void **state) {
  struct site *site = *state;
  lose_thread(site);
  open_gate(site);
  expect_call(site, "eq(run('return global'), 'kept')\n"
                    "eq(add(1, 2), 3)\n"
                    "fails('misuse', 'wrong', raise, 'wrong')\n");
  assert_int_equal(counted(LOADS), 2);
}

/* What is queued before a thread is lost goes on, too. */
static void starts_what_waits_in_the_queue(void **state) {
  struct site *site = *state;
  struct run stuck, waiting;
  start_run(site->fixture, &stuck, "holds()");
  turn_until_counted(site, BEGUN, 1);
  start_run(site->fixture, &waiting, "eq(add(1, 2), 3)");
  settle(site->fixture);
  assert_int_equal(count_default(site).queued, 1);
  fiber_cancel(stuck.fiber, "spec");
  turn_until(site->fixture, waiting.ended);
  expect_done(&waiting);
  expect_failed(&stuck, "cancelled: spec");
  assert_int_equal(count_default(site).lost, 1);
  open_gate(site);
}

static void replaces_so_many_threads_and_no_more(void **state) {
  struct site *site = *state;
  struct run stuck, waiting;
  for (int i = 0; i < POOL_LOST_MAX; i++) lose_thread(site);
  start_run(site->fixture, &stuck, "holds()");
  turn_until_counted(site, BEGUN, POOL_LOST_MAX + 1);
  fiber_cancel(stuck.fiber, "spec");
  turn_until(site->fixture, is_in_log(site, "no other thread takes its place, calls wait"));
  expect_failed(&stuck, "cancelled: spec");
  start_run(site->fixture, &waiting, "eq(add(1, 2), 3)");
  settle(site->fixture);
  assert_int_equal(count_default(site).queued, 1);
  assert_int_equal(count_default(site).lost, POOL_LOST_MAX);
  open_gate(site);
  turn_until(site->fixture, waiting.ended);
  expect_done(&waiting);
  turn_until(site->fixture, count_default(site).threads == 1);
}

/* ---- the caller ---- */

enum { TRIES_MAX = 20 };

/* Runs a chunk that times out until its traceback has the text: a machine that has no time for the
 * thread, or to look at it, tells nothing. */
static void expect_told(struct site *site, const char *chunk, const char *text) {
  bool told = false;
  for (int tries = 1; !told; tries++) {
    struct run run;
    start_run(site->fixture, &run, chunk);
    turn_until(site->fixture, run.ended);
    told = run.traceback && strstr(run.traceback, text);
    if (!told && tries == TRIES_MAX) fail_msg("no '%s' in '%s'", text, run.traceback);
    expect_failed(&run, "timeout after 0.05 s");
    open_gate(site);
  }
}

static void tells_the_caller_where_its_call_is(void **state) {
  struct site *site = *state;
  expect_told(site, "run_blocking({ timeout = 0.05 }, holds)",
              " of pool default: in hold, called from ");
  expect_told(site, "run_blocking({ timeout = 0.05 }, holds)", "in hold_in_c");
  expect_told(site, "run_blocking({ timeout = 0.05 }, holds)", "called from:");
}

static void tells_the_caller_where_lua_code_was(void **state) {
  struct site *site = *state;
  expect_told(site, "run_blocking({ timeout = 0.05 }, waits)", "sleep'");
  expect_told(site, "run_blocking({ timeout = 0.05 }, computes)", "app.lua:");
  expect_told(site, "run_blocking({ timeout = 0.05 }, insists)", "app.lua:");
  expect_call(site, "eq(run_blocking(add, 1, 2), 3)");
  assert_int_equal(counted(CLOSED), counted(BEGUN));
}

static void may_be_cancelled_while_it_is_told(void **state) {
  struct site *site = *state;
  for (int i = 0; i < 5; i++) {
    struct run run;
    start_run(site->fixture, &run, "timeout(0.05, run_blocking, { timeout = 0.04 }, holds)\n");
    turn_until(site->fixture, run.ended);
    expect_failed(&run, "timeout after ");
  }
  open_gate(site);
}

/* ---- a load that does not end ---- */

static int open_libs_of_endless_load(lua_State *L) {
  pool_open_libs(L);
  if (luaL_dostring(L, "function fail_load() count(BEGUN) while true do end end")) lua_error(L);
  return 0;
}

static int start_endless_load(void **state) {
  start_narrow_site(state);
  struct site *site = *state;
  site->fixture->process.open_libs = open_libs_of_endless_load;
  return 0;
}

static void times_out_while_its_thread_loads(void **state) {
  struct site *site = *state;
  expect_call(site, "fails('timeout', 'timeout after 0.05 s', run_blocking, { timeout = 0.05 },\n"
                    "  add, 1, 2)\n"
                    "fails('timeout', '', timeout, 0.05, add, 1, 2)\n");
}

static void ends_loads_with_the_pools(void **state) {
  struct site *site = *state;
  struct run run;
  start_run(site->fixture, &run, "add(1, 2)");
  turn_until_counted(site, BEGUN, 1);
  destroy_pools(site);
  settle(site->fixture);
  expect_failed(&run, "the app did not load in a pool thread: cancelled");
}

static void ends_loads_when_all_calls_end(void **state) {
  struct site *site = *state;
  struct run run;
  start_run(site->fixture, &run, "add(1, 2)");
  turn_until_counted(site, BEGUN, 1);
  pools_settle(site->pools, NULL, NULL);
  turn_until(site->fixture, !pools_are_settling(site->pools));
  turn_until(site->fixture, run.ended);
  expect_failed(&run, "the app did not load in a pool thread: cancelled");
}

#define lost_test(name)  cmocka_unit_test_setup_teardown(name, start_narrow_site, stop_open_site)
#define loads_test(name) cmocka_unit_test_setup_teardown(name, start_endless_load, stop_open_site)

int main(void) {
  const struct CMUnitTest tests[] = {
      lost_test(tells_of_a_thread_while_it_is_stuck),
      lost_test(replaces_a_thread_and_takes_it_back),
      lost_test(uses_the_state_again),
      lost_test(starts_what_waits_in_the_queue),
      lost_test(replaces_so_many_threads_and_no_more),
      lost_test(tells_the_caller_where_its_call_is),
      lost_test(tells_the_caller_where_lua_code_was),
      lost_test(may_be_cancelled_while_it_is_told),
      loads_test(times_out_while_its_thread_loads),
      loads_test(ends_loads_with_the_pools),
      loads_test(ends_loads_when_all_calls_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
