/* stress_spec.c - what the stress build adds to the scheduler, called by hand.
 *
 * In the stress build itself fiber_wake shuffles too; that makes no difference to what is expected
 * here. */
#include "core/stress.h"

#include "worker_fixture.h"

#define SEED_NAME "PERILUNE_STRESS_SEED"

enum { WOKEN = 5, SEEDS = 20, ORDER_BYTES = WOKEN + 1 };

static void use_seed(struct fixture *fixture, int seed) {
  char text[16];
  snprintf(text, sizeof text, "%d", seed);
  setenv(SEED_NAME, text, 1);
  stress_init(&fixture->worker);
}

/* Makes fibers that leave their number in the trace once they are woken. */
static void park_all(struct fixture *fixture, struct run runs[WOKEN], char chunks[WOKEN][32]) {
  for (int i = 0; i < WOKEN; i++) {
    snprintf(chunks[i], sizeof chunks[i], "park(%d) trace '%d'", i, i);
    start_run(fixture, &runs[i], chunks[i]);
  }
  settle(fixture);
}

static void wake(struct fixture *fixture, int i) {
  assert_true(fiber_wake(fixture->tickets[i]));
  stress_shuffle(fixture->tickets[i].fiber);
}

static void wake_all(struct fixture *fixture, int first) {
  for (int i = first; i < WOKEN; i++) wake(fixture, i);
}

static void expect_all_done(struct run runs[WOKEN]) {
  for (int i = 0; i < WOKEN; i++) expect_done(&runs[i]);
}

static void find_order(struct fixture *fixture, int seed, char order[ORDER_BYTES]) {
  struct run runs[WOKEN];
  char chunks[WOKEN][32];
  park_all(fixture, runs, chunks);
  use_seed(fixture, seed);
  wake_all(fixture, 0);
  settle(fixture);
  expect_all_done(runs);
  assert_int_equal(strlen(fixture->trace), WOKEN);
  memcpy(order, fixture->trace, ORDER_BYTES);
  fixture->trace[0] = '\0';
}

static void repeats_the_order_of_a_seed(void **state) {
  struct fixture *fixture = *state;
  char first[ORDER_BYTES], order[ORDER_BYTES], again[ORDER_BYTES];
  bool differs = false;
  find_order(fixture, 0, first);
  for (int seed = 1; seed <= SEEDS; seed++) {
    find_order(fixture, seed, order);
    find_order(fixture, seed, again);
    assert_string_equal(order, again);
    for (int i = 0; i < WOKEN; i++) assert_non_null(strchr(order, '0' + i));
    differs = differs || strcmp(order, first) != 0;
  }
  assert_true(differs);
}

static void lets_nobody_overtake_what_was_started(void **state) {
  struct fixture *fixture = *state;
  struct run runs[WOKEN], started;
  char chunks[WOKEN][32];
  for (int seed = 1; seed <= SEEDS; seed++) {
    park_all(fixture, runs, chunks);
    use_seed(fixture, seed);
    wake(fixture, 0);
    start_run(fixture, &started, "trace 's'");
    wake_all(fixture, 1);
    settle(fixture);
    expect_done(&started);
    expect_all_done(runs);
    assert_memory_equal(fixture->trace, "0s", 2);
    fixture->trace[0] = '\0';
  }
}

static void collects_garbage_unless_that_is_stopped(void **state) {
  struct fixture *fixture = *state;
  struct worker *worker = &fixture->worker;
  expect_outside(fixture, "weak = setmetatable({ {} }, { __mode = 'v' }) collectgarbage 'stop'");
  stress_collect(worker);
  expect_outside(fixture, "eq(#weak, 1) collectgarbage 'restart'");
  stress_collect(worker);
  expect_outside(fixture, "eq(#weak, 0)");
}

static void collects_a_large_state_in_parts(void **state) {
  struct fixture *fixture = *state;
  expect_outside(fixture, "kept = {} for i = 1, 50000 do kept[i] = { i } end collectgarbage()\n"
                          "weak = setmetatable({ {} }, { __mode = 'v' })");
  stress_collect(&fixture->worker);
  expect_outside(fixture, "eq(#weak, 1)");
  for (int i = 0; i < 1000; i++) stress_collect(&fixture->worker);
  expect_outside(fixture, "eq(#weak, 0)");
}

static void runs_finalizers_that_fail(void **state) {
  struct fixture *fixture = *state;
  expect_outside(fixture, "setmetatable({}, { __gc = function() ran = true error 'spec' end })");
  stress_collect(&fixture->worker);
  expect_outside(fixture, "eq(ran, true)");
  assert_int_equal(lua_gettop(fixture->worker.L), 0);
}

static void chooses_a_seed_unless_one_is_given(void **state) {
  (void)state;
  unsetenv(SEED_NAME);
  stress_choose_seed();
  assert_non_null(getenv(SEED_NAME));
  assert_true(strspn(getenv(SEED_NAME), "0123456789") == strlen(getenv(SEED_NAME)));
  setenv(SEED_NAME, "17", 1);
  stress_choose_seed();
  assert_string_equal(getenv(SEED_NAME), "17");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(repeats_the_order_of_a_seed),
      fixture_test(lets_nobody_overtake_what_was_started),
      fixture_test(collects_garbage_unless_that_is_stopped),
      fixture_test(collects_a_large_state_in_parts),
      fixture_test(runs_finalizers_that_fail),
      cmocka_unit_test(chooses_a_seed_unless_one_is_given),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
