/* timer_spec.c - the heap of timers: what fires, in which order, and what may happen meanwhile.
 *
 * Clocks are manual but for the tests of the uv_timer behind a real one, which ask libuv how long
 * it would sleep instead of sleeping. A random run is held against a plain search of an array. */
#include "core/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NAMED = 8, TRACE_MAX = 64 };

static const uint64_t start_ns = 1000;

/* A timer with a letter, which it writes into the trace when it fires. */
struct named {
  struct timer timer;
  char letter;
  struct bench *bench;
  void (*also)(struct named *named); /* may be NULL */
  struct named *other;
  uint64_t other_due_ns;
};

struct bench {
  struct timers timers;
  struct named named[NAMED]; /* A to H */
  char trace[TRACE_MAX];
};

static int start_bench(void **state) {
  struct bench *bench = memory_alloc_zero(sizeof *bench);
  timers_init_manual(&bench->timers, start_ns);
  for (int i = 0; i < NAMED; i++) {
    bench->named[i].letter = (char)('A' + i);
    bench->named[i].bench = bench;
  }
  *state = bench;
  return 0;
}

static int stop_bench(void **state) {
  struct bench *bench = *state;
  timers_finish(&bench->timers);
  free(bench);
  return 0;
}

static void fire(struct timer *timer) {
  struct named *named = container_of(timer, struct named, timer);
  size_t len = strlen(named->bench->trace);
  assert_true(len + 1 < TRACE_MAX);
  assert_false(timer_is_started(timer));
  named->bench->trace[len] = named->letter;
  if (named->also) named->also(named);
}

static void start(struct bench *bench, char letter, uint64_t due_ns) {
  timer_start(&bench->timers, &bench->named[letter - 'A'].timer, due_ns, fire);
}

static void stop(struct bench *bench, char letter) {
  timer_stop(&bench->timers, &bench->named[letter - 'A'].timer);
}

static struct named *prepare(struct bench *bench, char letter, void (*also)(struct named *),
                             char other, uint64_t other_due_ns) {
  struct named *named = &bench->named[letter - 'A'];
  named->also = also;
  named->other = &bench->named[other - 'A'];
  named->other_due_ns = other_due_ns;
  return named;
}

static void start_other(struct named *named) {
  named->also = NULL;
  start(named->bench, named->other->letter, named->other_due_ns);
}

static void stop_other(struct named *named) {
  stop(named->bench, named->other->letter);
}

static void expect_run(struct bench *bench, const char *letters) {
  memset(bench->trace, 0, sizeof bench->trace);
  timers_run(&bench->timers);
  assert_string_equal(bench->trace, letters);
}

static void advance(struct bench *bench, uint64_t by_ns) {
  assert_int_equal(timers_advance(&bench->timers, by_ns), 0);
}

/* ---- order ---- */

static void fires_what_is_due_in_order(void **state) {
  struct bench *bench = *state;
  start(bench, 'A', start_ns - 1);
  start(bench, 'B', start_ns - 7);
  start(bench, 'C', start_ns);
  start(bench, 'D', start_ns + 1);
  start(bench, 'E', 0);
  expect_run(bench, "EBAC");
  expect_run(bench, "");
  advance(bench, 1);
  expect_run(bench, "D");
  assert_false(timer_is_started(&bench->named[3].timer));
}

static void fires_equal_times_in_order_of_starting(void **state) {
  struct bench *bench = *state;
  for (const char *letter = "CAFBHEDG"; *letter; letter++) start(bench, *letter, start_ns);
  start(bench, 'F', start_ns);
  expect_run(bench, "CABHEDGF");
}

static void restarts_a_timer(void **state) {
  struct bench *bench = *state;
  for (char letter = 'A'; letter <= 'E'; letter++)
    start(bench, letter, start_ns - 50 + (uint64_t)(letter - 'A') * 10);
  start(bench, 'A', start_ns - 15); /* later */
  start(bench, 'E', start_ns - 90); /* earlier */
  start(bench, 'C', start_ns + 5);  /* out of reach */
  expect_run(bench, "EBDA");
  start(bench, 'C', start_ns);
  expect_run(bench, "C");
  expect_run(bench, "");
}

static void stops_a_timer(void **state) {
  struct bench *bench = *state;
  for (char letter = 'A'; letter <= 'H'; letter++)
    start(bench, letter, start_ns - (uint64_t)(letter - 'A'));
  stop(bench, 'H'); /* the first */
  stop(bench, 'A'); /* the last */
  stop(bench, 'D');
  stop(bench, 'D');
  assert_false(timer_is_started(&bench->named['D' - 'A'].timer));
  assert_true(timer_is_started(&bench->named['E' - 'A'].timer));
  expect_run(bench, "GFECB");
  stop(bench, 'G');
  start(bench, 'G', start_ns);
  expect_run(bench, "G");
}

/* ---- while firing ---- */

static void stops_timers_while_firing(void **state) {
  struct bench *bench = *state;
  prepare(bench, 'A', stop_other, 'C', 0);
  prepare(bench, 'B', stop_other, 'B', 0);
  for (char letter = 'A'; letter <= 'D'; letter++)
    start(bench, letter, start_ns - 10 + (uint64_t)(letter - 'A'));
  expect_run(bench, "ABD");
  expect_run(bench, "");
}

static void lets_what_is_started_while_firing_wait(void **state) {
  struct bench *bench = *state;
  prepare(bench, 'A', start_other, 'E', 0);
  prepare(bench, 'B', start_other, 'B', 0);
  prepare(bench, 'C', start_other, 'F', start_ns);
  start(bench, 'A', start_ns - 10);
  start(bench, 'B', start_ns - 9);
  start(bench, 'C', start_ns - 8);
  start(bench, 'D', start_ns);
  start(bench, 'G', start_ns + 1);
  expect_run(bench, "ABCD");
  expect_run(bench, "EBF");
  expect_run(bench, "");
}

static void lets_what_is_restarted_while_firing_wait(void **state) {
  struct bench *bench = *state;
  prepare(bench, 'A', start_other, 'C', start_ns - 20);
  prepare(bench, 'B', start_other, 'D', start_ns + 1);
  start(bench, 'A', start_ns - 10);
  start(bench, 'B', start_ns - 9);
  start(bench, 'C', start_ns - 8);
  start(bench, 'D', start_ns - 7);
  expect_run(bench, "AB");
  expect_run(bench, "C");
  advance(bench, 1);
  expect_run(bench, "D");
}

/* ---- the manual clock ---- */

static void advances_to_the_next_due_time_at_most(void **state) {
  struct bench *bench = *state;
  struct timers *timers = &bench->timers;
  assert_int_equal(timers_now(timers), start_ns);
  assert_int_equal(timers_advance(timers, 5), 0);
  assert_int_equal(timers_now(timers), start_ns + 5);
  start(bench, 'A', start_ns + 15);
  start(bench, 'B', start_ns + 25);
  assert_int_equal(timers_advance(timers, 100), 90);
  assert_int_equal(timers_now(timers), start_ns + 15);
  assert_int_equal(timers_advance(timers, 90), 90); /* A is due: time stands still */
  expect_run(bench, "A");
  assert_int_equal(timers_advance(timers, 90), 80);
  expect_run(bench, "B");
  assert_int_equal(timers_advance(timers, 80), 0);
  assert_int_equal(timers_now(timers), start_ns + 105);
  assert_int_equal(timers_advance(timers, 0), 0);
}

static void does_not_go_back_for_what_is_overdue(void **state) {
  struct bench *bench = *state;
  start(bench, 'A', start_ns - 500);
  assert_int_equal(timers_advance(&bench->timers, 10), 10);
  assert_int_equal(timers_now(&bench->timers), start_ns);
}

/* ---- shared clocks ---- */

static void follows_the_time_that_it_shares(void **state) {
  struct bench *bench = *state;
  struct shared_time time;
  struct timers other;
  atomic_init(&time.now_ns, start_ns);
  atomic_init(&time.order, 0);
  timers_init_shared(&bench->timers, &time);
  timers_init_shared(&other, &time);
  assert_null(timers_first(&bench->timers));
  start(bench, 'A', start_ns + 5);
  timer_start(&other, &bench->named['B' - 'A'].timer, start_ns + 5, fire);
  start(bench, 'C', start_ns + 3);
  assert_ptr_equal(timers_first(&bench->timers), &bench->named['C' - 'A'].timer);
  assert_true(timers_first(&other)->_order > bench->named[0].timer._order);
  expect_run(bench, "");
  atomic_store(&time.now_ns, start_ns + 5);
  assert_int_equal(timers_now(&other), start_ns + 5);
  expect_run(bench, "CA");
  assert_ptr_equal(timers_shared_time(&other), &time);
  timers_finish(&other);
}

/* ---- life ---- */

static void finishes_with_timers_started_and_twice(void **state) {
  struct bench *bench = *state;
  start(bench, 'A', start_ns);
  start(bench, 'B', start_ns + 1);
  timers_finish(&bench->timers);
  assert_false(timer_is_started(&bench->named[0].timer));
  assert_false(timer_is_started(&bench->named[1].timer));
  timer_stop(&bench->timers, &bench->named[0].timer);
  timers_finish(&bench->timers);
  struct timers zeroed = {0};
  timers_finish(&zeroed);
}

/* ---- the real clock ---- */

static void sleeps_until_the_earliest_timer(void **state) {
  struct bench *bench = *state;
  struct timers timers;
  struct timer near = {0}, far = {0};
  uv_loop_t loop;
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_int_equal(timers_init(&timers, &loop), 0);
  timers_arm(&timers);
  assert_int_equal(uv_loop_alive(&loop), 0);

  uint64_t now = timers_now(&timers);
  timer_start(&timers, &far, now + 3600 * NS_PER_SECOND, fire);
  timers_arm(&timers);
  uv_run(&loop, UV_RUN_NOWAIT); /* else uv_backend_timeout has no answer yet */
  assert_in_range(uv_backend_timeout(&loop), 3500 * 1000, 3600 * 1000 + 1);
  timer_start(&timers, &near, now + 600 * NS_PER_SECOND, fire);
  timers_arm(&timers);
  assert_in_range(uv_backend_timeout(&loop), 500 * 1000, 600 * 1000 + 1);
  timer_stop(&timers, &near);
  timers_arm(&timers);
  assert_in_range(uv_backend_timeout(&loop), 3500 * 1000, 3600 * 1000 + 1);
  timer_stop(&timers, &far);
  timers_arm(&timers);
  assert_int_equal(uv_loop_alive(&loop), 0);

  timers_finish(&timers);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&loop), 0);
  (void)bench;
}

static void does_not_sleep_when_a_timer_is_due(void **state) {
  struct bench *bench = *state;
  struct timers timers;
  uv_loop_t loop;
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_int_equal(timers_init(&timers, &loop), 0);
  const uint64_t due[] = {0, 1, timers_now(&timers)};
  for (size_t i = 0; i < array_len(due); i++) {
    memset(bench->trace, 0, sizeof bench->trace);
    timer_start(&timers, &bench->named[0].timer, due[i], fire);
    timers_arm(&timers);
    assert_int_equal(uv_loop_alive(&loop), 1);
    uv_run(&loop, UV_RUN_ONCE);
    assert_string_equal(bench->trace, ""); /* never inside a callback of libuv */
    timers_run(&timers);
    assert_string_equal(bench->trace, "A");
  }
  timers_finish(&timers);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&loop), 0);
}

/* ---- at random ---- */

enum { RANDOM_TIMERS = 60, RANDOM_STEPS = 20000, RANDOM_TIME = 100 };

struct random_timer {
  struct timer timer;
  struct random_run *run;
  bool started;
  uint64_t due_ns;
  unsigned order; /* of starting */
};

struct random_run {
  struct timers timers;
  struct random_timer all[RANDOM_TIMERS];
  uint64_t seed;
  unsigned order, run_began_at;
  bool is_firing;
  unsigned fired;
};

static unsigned next_random(struct random_run *run, unsigned below) {
  run->seed = run->seed * 6364136223846793005ull + 1442695040888963407ull;
  return (unsigned)(run->seed >> 33) % below;
}

/* The timer that fires next in a run, found the slow way. */
static struct random_timer *find_next(struct random_run *run) {
  struct random_timer *next = NULL;
  for (int i = 0; i < RANDOM_TIMERS; i++) {
    struct random_timer *each = &run->all[i];
    if (!each->started || each->due_ns > timers_now(&run->timers)) continue;
    if (each->order >= run->run_began_at) continue;
    if (!next || each->due_ns < next->due_ns ||
        (each->due_ns == next->due_ns && each->order < next->order))
      next = each;
  }
  return next;
}

static void random_step(struct random_run *run);

static void random_fire(struct timer *timer) {
  struct random_timer *fired = container_of(timer, struct random_timer, timer);
  struct random_run *run = fired->run;
  assert_ptr_equal(fired, find_next(run));
  fired->started = false;
  run->fired++;
  if (next_random(run, 2) == 0) random_step(run);
}

static void random_step(struct random_run *run) {
  struct random_timer *chosen = &run->all[next_random(run, RANDOM_TIMERS)];
  if (next_random(run, 4) == 0) {
    timer_stop(&run->timers, &chosen->timer);
    chosen->started = false;
    return;
  }
  uint64_t now = timers_now(&run->timers);
  chosen->due_ns = now - RANDOM_TIME / 4 + next_random(run, RANDOM_TIME);
  if (run->is_firing && chosen->due_ns < now) chosen->due_ns = now;
  chosen->order = run->order++;
  chosen->started = true;
  timer_start(&run->timers, &chosen->timer, chosen->due_ns, random_fire);
}

static void is_a_sorted_list(void **state) {
  (void)state;
  struct random_run *run = memory_alloc_zero(sizeof *run);
  run->seed = 7;
  timers_init_manual(&run->timers, start_ns);
  for (int i = 0; i < RANDOM_TIMERS; i++) run->all[i].run = run;
  for (int i = 0; i < RANDOM_STEPS; i++) {
    random_step(run);
    if (next_random(run, 3) > 0) continue;
    timers_advance(&run->timers, next_random(run, RANDOM_TIME / 8));
    run->run_began_at = run->order;
    run->is_firing = true;
    timers_run(&run->timers);
    run->is_firing = false;
    assert_null(find_next(run));
    for (int j = 0; j < RANDOM_TIMERS; j++)
      assert_int_equal(timer_is_started(&run->all[j].timer), run->all[j].started);
  }
  assert_true(run->fired > RANDOM_STEPS / 4);
  timers_finish(&run->timers);
  free(run);
}

#define test(name) cmocka_unit_test_setup_teardown(name, start_bench, stop_bench)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(fires_what_is_due_in_order),
      test(fires_equal_times_in_order_of_starting),
      test(restarts_a_timer),
      test(stops_a_timer),
      test(stops_timers_while_firing),
      test(lets_what_is_started_while_firing_wait),
      test(lets_what_is_restarted_while_firing_wait),
      test(advances_to_the_next_due_time_at_most),
      test(does_not_go_back_for_what_is_overdue),
      test(follows_the_time_that_it_shares),
      test(finishes_with_timers_started_and_twice),
      test(sleeps_until_the_earliest_timer),
      test(does_not_sleep_when_a_timer_is_due),
      test(is_a_sorted_list),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
