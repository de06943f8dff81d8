/* every_spec.c - when app:every runs its function, on a clock that stands still.
 *
 * life.lua is called as the server calls it, for a made app. What it runs as tasks of a server, and
 * how it ends, is in hooks_spec.lua. */
#include "worker_fixture.h"

/* Functions of chunks that follow: every(seconds, fn). */
static const char prelude[] = "use_clock()\n"
                              "local life = require 'perilune.life'\n"
                              "local function every(seconds, fn)\n"
                              "  life('every', { all_hooks = { { name = 'every', fn = fn, seconds "
                              "= seconds, source = 's' } } "
                              "})\n"
                              "end\n"
                              "local began = now()\n"
                              "local function time() return ('%g '):format(now() - began) end\n";

static void start_every(struct fixture *fixture, const char *chunk) {
  struct run run;
  char text[2048];
  snprintf(text, sizeof text, "%s%s", prelude, chunk);
  start_run(fixture, &run, text);
  turn_until(fixture, run.ended);
  expect_done(&run);
  settle(fixture);
}

static void runs_first_when_the_time_is_over(void **state) {
  struct fixture *fixture = *state;
  start_every(fixture, "every(10, function() trace(time()) end)");
  advance(fixture, 9 * NS_PER_SECOND);
  expect_trace(fixture, "");
  advance(fixture, NS_PER_SECOND);
  expect_trace(fixture, "10 ");
  advance(fixture, 30 * NS_PER_SECOND);
  expect_trace(fixture, "20 30 40 ");
}

static void does_not_drift(void **state) {
  struct fixture *fixture = *state;
  start_every(fixture, "every(10, function() trace(time()) sleep(3) end)");
  advance(fixture, 40 * NS_PER_SECOND);
  expect_trace(fixture, "10 20 30 40 ");
}

static void leaves_out_what_is_due_while_it_runs(void **state) {
  struct fixture *fixture = *state;
  start_every(fixture, "every(10, function() trace(time()) sleep(25) trace(time()) end)");
  advance(fixture, 75 * NS_PER_SECOND);
  expect_trace(fixture, "10 35 40 65 70 ");
}

static void starts_at_once_what_is_due_when_it_ends(void **state) {
  struct fixture *fixture = *state;
  start_every(fixture, "every(10, function() trace(time()) sleep(10) end)");
  advance(fixture, 40 * NS_PER_SECOND);
  expect_trace(fixture, "10 20 30 40 ");
}

static void takes_any_time_above_zero(void **state) {
  struct fixture *fixture = *state;
  start_every(fixture, "every(0.1, function() trace(time()) end)\n"
                       "every(math.huge, function() trace('never') end)\n"
                       "local count = 0\n"
                       "every(5e-324, function() count = count + 1\n"
                       "  if count < 4 then trace('soon ') else sleep(1000) end end)\n");
  advance(fixture, NS_PER_SECOND / 4);
  expect_trace(fixture, "soon soon soon 0.1 0.2 ");
}

static void goes_on_after_an_error(void **state) {
  struct fixture *fixture = *state;
  start_every(fixture, "local function fails() trace(time()) error('told') end\n"
                       "every(10, fails)");
  advance(fixture, 20 * NS_PER_SECOND);
  expect_trace(fixture, "10 20 ");
  char *log = read_log(fixture);
  assert_non_null(strstr(log, "\"message\":\"task failed\""));
  assert_non_null(strstr(log, "told"));
  free(log);
}

/* Another task of its own; the next one is on time. */
static void goes_on_when_a_run_is_cancelled(void **state) {
  struct fixture *fixture = *state;
  start_every(fixture, "every(10, function() trace(time()) cancel_me('spec') sleep(1) end)");
  advance(fixture, 20 * NS_PER_SECOND);
  expect_trace(fixture, "10 20 ");
}

static void takes_what_can_be_called(void **state) {
  struct fixture *fixture = *state;
  start_every(fixture, "local calls = setmetatable({}, { __call = function(self)\n"
                       "  trace(time()) error(type(self)) end })\n"
                       "every(10, calls)");
  advance(fixture, 10 * NS_PER_SECOND);
  expect_trace(fixture, "10 ");
  char *log = read_log(fixture);
  assert_non_null(strstr(log, "\"task\":\"s\"")); /* where it is written: it has no name */
  free(log);
}

static void ends_when_it_is_cancelled(void **state) {
  struct fixture *fixture = *state;
  start_every(fixture, "every(10, function() trace(time()) sleep(1000) end)\n"
                       "every(10, function() trace(time()) end)\n");
  advance(fixture, 10 * NS_PER_SECOND);
  expect_trace(fixture, "10 10 ");
  worker_cancel_all(&fixture->worker, "spec");
  turn_until(fixture, list_is_empty(&fixture->worker.fibers));
  advance(fixture, 100 * NS_PER_SECOND);
  expect_trace(fixture, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(runs_first_when_the_time_is_over),
      fixture_test(does_not_drift),
      fixture_test(leaves_out_what_is_due_while_it_runs),
      fixture_test(starts_at_once_what_is_due_when_it_ends),
      fixture_test(takes_any_time_above_zero),
      fixture_test(goes_on_after_an_error),
      fixture_test(goes_on_when_a_run_is_cancelled),
      fixture_test(takes_what_can_be_called),
      fixture_test(ends_when_it_is_cancelled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
