/* fiber_spec.c - the four doors of a fiber: start, park, wake, cancel.
 *
 * Fibers run Lua chunks or C functions in a real worker, turn by turn. Cancellation is tried in
 * every state a fiber can be in. How fibers end is in fiber_end_spec.c. */
#include "base/stress.h"
#include "worker_fixture.h"

/* ---- starting ---- */

static void starts_in_order(void **state) {
  struct fixture *fixture = *state;
  struct run runs[5];
  static const char *const chunks[] = {"trace '1'", "trace '2'", "trace '3'", "trace '4'",
                                       "trace '5'"};
  for (int i = 0; i < 5; i++) start_run(fixture, &runs[i], chunks[i]);
  expect_trace(fixture, "");
  settle(fixture);
  expect_trace(fixture, "12345");
  for (int i = 0; i < 5; i++) expect_done(&runs[i]);
}

static void runs_what_is_started_by_a_fiber_behind_it(void **state) {
  struct fixture *fixture = *state;
  struct run runs[2];
  start_run(fixture, &runs[0], "spawn(trace, 'c') spawn(trace, 'd') trace 'a'");
  start_run(fixture, &runs[1], "trace 'b'");
  settle(fixture);
  expect_trace(fixture, "abcd");
}

static int check_values(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  assert_int_equal(lua_gettop(L), 3);
  for (int i = 1; i <= 3; i++) assert_int_equal(lua_tointeger(L, i), i + 2);
  *(int *)fiber->data += 1;
  return luaL_error(L, "spec");
}

static int check_kept(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  assert_int_equal(lua_gettop(L), 3);
  for (int i = 1; i <= 2; i++) assert_int_equal(lua_tointeger(L, i), i);
  assert_string_equal(lua_tostring(L, 3), "spec");
  *(int *)fiber->data += 10;
  return 0;
}

/* The body gets the arguments; the kept values come before the error in `failed`. */
static void hands_over_arguments_and_kept_values(void **state) {
  struct fixture *fixture = *state;
  int calls = 0;
  static const struct fiber_kind kind = {check_values, check_kept, .kept = 2};
  struct fiber *fiber = fiber_create(&fixture->worker, &kind);
  fiber->data = &calls;
  for (int i = 1; i <= 5; i++) lua_pushinteger(fiber->co, i);
  fiber_start(fiber, 3);
  turn(fixture);
  assert_int_equal(calls, 11);
}

static int note_parent(lua_State *L) {
  static const struct fiber_kind kind = {.entry = fixture_trace};
  struct fiber *fiber = fiber_running(L);
  struct fiber *child = fiber_create(fiber->worker, &kind);
  assert_null(child->name);
  assert_int_equal(child->request, 7);
  assert_ptr_equal(child->timers, &fixture_of(L)->clock);
  lua_pushliteral(child->co, "child");
  fiber_start(child, 1);
  return 0;
}

static void inherits_request_and_clock(void **state) {
  struct fixture *fixture = *state;
  static const struct fiber_kind kind = {.entry = note_parent};
  struct fiber *fiber = fiber_create(&fixture->worker, &kind);
  assert_null(fiber->name);
  assert_int_equal(fiber->request, 0);
  assert_ptr_equal(fiber->timers, &fixture->worker.timers);
  fiber->name = "parent";
  fiber->request = 7;
  fiber->timers = &fixture->clock;
  fiber_start(fiber, 0);
  turn(fixture);
  expect_trace(fixture, "child");
}

/* ---- waiting ---- */

static void parks_and_is_woken_with_its_ticket(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  struct fiber *fiber = start_run(fixture, &run, "trace 'a' park(1) trace 'b' park(2) trace 'c'");
  turn(fixture);
  expect_trace(fixture, "a");
  assert_int_equal(fiber->state, FIBER_PARKED);
  assert_string_equal(fiber->waits_for, "park");
  turn(fixture);
  expect_trace(fixture, "");

  assert_true(fiber_wake(fixture->tickets[1]));
  assert_int_equal(fiber->state, FIBER_READY);
  assert_false(fiber_wake(fixture->tickets[1])); /* woken already */
  expect_trace(fixture, "");
  turn(fixture);
  expect_trace(fixture, "b");
  assert_false(fiber_wake(fixture->tickets[1])); /* another wait */
  assert_int_equal(fiber->state, FIBER_PARKED);

  assert_true(fiber_wake(fixture->tickets[2]));
  turn(fixture);
  expect_trace(fixture, "c");
  expect_done(&run);
  assert_false(fiber_wake(fixture->tickets[2])); /* ended */
}

static void drops_tickets_of_an_earlier_fiber(void **state) {
  struct fixture *fixture = *state;
  struct run first, second;
  struct fiber *fiber = start_run(fixture, &first, "park(1)");
  turn(fixture);
  fiber_wake(fixture->tickets[1]);
  turn(fixture);
  expect_done(&first);
  assert_ptr_equal(start_run(fixture, &second, "park(2)"), fiber);
  turn(fixture);
  assert_false(fiber_wake(fixture->tickets[1]));
  assert_int_equal(second.ended, 0);
  assert_true(fiber_wake(fixture->tickets[2]));
  turn(fixture);
  expect_done(&second);
}

/* Cancelled, timed out or ended where it waited, then used for another fiber. */
static void drops_tickets_of_waits_that_were_cancelled(void **state) {
  struct fixture *fixture = *state;
  static const char *const chunks[] = {
      "fails('cancelled', 'spec', park, 1) trace 'a'",
      "use_clock() fails('timeout', '', timeout, 1, park, 1) trace 'a'",
      "race(function() park(1) end, checkpoint) trace 'a'"};
  for (size_t i = 0; i < array_len(chunks); i++) {
    struct run first, runs[3];
    struct fiber *fiber = start_run(fixture, &first, chunks[i]);
    turn(fixture);
    if (i == 0) fiber_cancel(fiber, "spec");
    if (i == 1) advance(fixture, NS_PER_SECOND);
    turn_until(fixture, first.ended);
    expect_done(&first);
    expect_trace(fixture, "a");
    struct ticket stale = fixture->tickets[1];
    bool used_again = false;
    for (int j = 0; j < 3; j++)
      used_again |= start_run(fixture, &runs[j], "park(2)") == stale.fiber;
    assert_true(used_again);
    turn(fixture);
    assert_false(fiber_wake(stale));
    turn(fixture);
    for (int j = 0; j < 3; j++) assert_int_equal(runs[j].ended, 0);
    worker_cancel_all(&fixture->worker, NULL);
    turn_until(fixture, list_is_empty(&fixture->worker.fibers));
    for (int j = 0; j < 3; j++) expect_failed(&runs[j], "cancelled");
  }
}

struct crowd {
  struct list waiting;
  char letter;
};

static int crowd_woken(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  lua_pushstring(L, fiber_was_cancelled(L) ? "!" : lua_tostring(L, 1));
  lua_replace(L, 1);
  return fixture_trace(L);
}

static int join_crowd(lua_State *L) {
  struct fiber *fiber = fiber_begin_wait(L, "crowd");
  return fiber_park_in(L, fiber, fiber->data, "crowd", 0, crowd_woken);
}

static int compare_bytes(const void *a, const void *b) {
  return *(const char *)a - *(const char *)b;
}

/* The stress build wakes in any order. */
static void sort_trace(struct fixture *fixture) {
  qsort(fixture->trace, strlen(fixture->trace), 1, compare_bytes);
}

static void wakes_all_of_a_list_in_order(void **state) {
  struct fixture *fixture = *state;
  struct list waiting;
  struct fiber *fibers[5];
  list_init(&waiting);
  for (int i = 0; i < 5; i++) {
    const char letter[] = {(char)('a' + i), 0};
    static const struct fiber_kind kind = {.entry = join_crowd};
    fibers[i] = fiber_create(&fixture->worker, &kind);
    fibers[i]->data = &waiting;
    lua_pushstring(fibers[i]->co, letter);
    fiber_start(fibers[i], 1);
  }
  settle(fixture);
  fiber_wake(fiber_ticket(fibers[3])); /* leaves the list */
  fiber_cancel(fibers[1], NULL);
  fiber_wake_all(&waiting);
  assert_true(list_is_empty(&waiting));
  fiber_wake_all(&waiting);
  settle(fixture);
  if (STRESS) sort_trace(fixture);
  expect_trace(fixture, STRESS ? "!acde" : "d!ace");
}

static void waits_until_a_time_and_not_longer(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run,
            "use_clock() trace 'a' sleep(2) trace 'b' sleep(0) trace 'c' checkpoint() trace 'd'");
  settle(fixture);
  expect_trace(fixture, "a");
  advance(fixture, 2 * NS_PER_SECOND - 1);
  expect_trace(fixture, "");
  advance(fixture, 1);
  settle(fixture);
  settle(fixture);
  expect_trace(fixture, "bcd");
  expect_done(&run);
}

/* Nothing else happens in the worker: its loop must not go to sleep for good. */
static void goes_on_after_a_checkpoint_of_an_idle_worker(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run, "for i = 1, 10 do checkpoint() sleep(0) end");
  turn_until(fixture, run.ended);
  expect_done(&run);
}

static void lets_fibers_go_on_in_the_order_of_their_checkpoints(void **state) {
  struct fixture *fixture = *state;
  struct run runs[4];
  static const char *const chunks[] = {
      "for i = 1, 3 do trace 'a' checkpoint() end", "for i = 1, 3 do trace 'b' checkpoint() end",
      "for i = 1, 3 do trace 'c' checkpoint() end", "for i = 1, 3 do trace 'd' checkpoint() end"};
  for (int i = 0; i < 4; i++) start_run(fixture, &runs[i], chunks[i]);
  turn_until(fixture, runs[3].ended);
  expect_trace(fixture, "abcdabcdabcd");
}

static void cannot_wait_outside_of_a_fiber_or_below_c(void **state) {
  struct fixture *fixture = *state;
  lua_State *L = fixture->worker.L;
  assert_int_not_equal(luaL_dostring(L, "sleep(0)"), LUA_OK);
  assert_non_null(strstr(lua_tostring(L, -1), "async.sleep cannot wait outside of a task"));
  lua_pop(L, 1);
  expect_chunk(fixture,
               "fails('misuse', \"async.sleep cannot wait inside 'table.sort'\", function()\n"
               "  table.sort({1, 2, 3}, function() sleep(0) end) end)\n"
               "fails('misuse', \"cannot wait here: a closer\", function()\n"
               "  string.gsub('a', 'a', function() coroutine.wrap(function() sleep(0) end)() end)\n"
               "end)\n"
               "sleep(0)\n");
}

/* ---- cancelling ---- */

static void is_cancelled_before_it_has_started(void **state) {
  struct fixture *fixture = *state;
  struct run fresh, ready;
  make_run(fixture, &fresh, "trace 'a' fails('cancelled', 'cancelled: early', sleep, 0) trace 'b'");
  fiber_cancel(fresh.fiber, "early");
  expect_trace(fixture, "");
  fiber_start(fresh.fiber, 0);
  start_run(fixture, &ready, "trace 'c' fails('cancelled', 'cancelled: ready', sleep, 0)");
  fiber_cancel(ready.fiber, "ready");
  settle(fixture);
  expect_trace(fixture, "acb");
  expect_done(&fresh);
  expect_done(&ready);
}

static void is_cancelled_where_it_waits(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  struct fiber *fiber = start_run(fixture, &run, "sleep(1000)");
  turn(fixture);
  assert_true(timer_is_started(&fiber->timer));
  fiber_cancel(fiber, "spec");
  assert_false(timer_is_started(&fiber->timer));
  assert_int_equal(fiber->state, FIBER_READY);
  fiber_cancel(fiber, "again");
  turn(fixture);
  expect_failed(&run, "cancelled: spec");
}

static void is_cancelled_between_wake_and_resume(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  struct fiber *fiber = start_run(fixture, &run, "park(1) trace 'a' park(2)");
  turn(fixture);
  assert_true(fiber_wake(fixture->tickets[1]));
  fiber_cancel(fiber, "late");
  settle(fixture);
  expect_trace(fixture, "a"); /* that wait had its result; the next one raises */
  expect_failed(&run, "cancelled: late");
}

static size_t count_ready(struct fixture *fixture) {
  size_t count = 0;
  const struct list *ready = &fixture->worker.ready;
  for (const struct list *link = ready->next; link != ready; link = link->next) count++;
  return count;
}

/* Whichever comes first has its way, and wakes it once. */
static void is_woken_once_when_cancelled_as_its_timer_fires(void **state) {
  struct fixture *fixture = *state;
  for (int cancel_first = 0; cancel_first <= 1; cancel_first++) {
    struct run run;
    struct fiber *fiber = start_run(fixture, &run, "use_clock() sleep(2) trace 'a' sleep(2)");
    settle(fixture);
    uint64_t wait = fiber->wait;
    assert_int_equal(timers_advance(&fixture->clock, 2 * NS_PER_SECOND), 0);
    if (cancel_first) fiber_cancel(fiber, "spec");
    timers_run(&fixture->clock);
    fiber_cancel(fiber, "spec");
    timers_run(&fixture->clock);
    assert_int_equal(fiber->wait, wait + 1);
    assert_int_equal(count_ready(fixture), 1);
    assert_int_equal(fixture->clock._count, 0);
    settle(fixture);
    expect_trace(fixture, cancel_first ? "" : "a");
    expect_failed(&run, "cancelled: spec");
  }
}

/* As above, by a fiber that runs in the very turn. */
static void is_woken_once_when_cancelled_by_a_fiber_of_its_turn(void **state) {
  struct fixture *fixture = *state;
  if (STRESS) skip(); /* it is about one order of two timers of one moment */
  struct run run;
  start_run(fixture, &run,
            "use_clock()\n"
            "local function two() sleep(2) trace 'b' sleep(2) trace '?' end\n"
            "local task = spawn(function() sleep(2) trace 'a' other:cancel 'x' end)\n"
            "other = spawn(two)\n"
            "settle(task, other)\n"
            "eq(tostring(other.error), 'cancelled: x')\n"
            "other = nil");
  settle(fixture);
  advance(fixture, 2 * NS_PER_SECOND);
  turn_until(fixture, run.ended);
  expect_done(&run);
  expect_trace(fixture, "ab");
  assert_int_equal(fixture->clock._count, 0);
}

/* The end of the task and the limit of the wait in one turn: the results are there. */
static void has_what_ended_with_the_limit_of_its_wait(void **state) {
  struct fixture *fixture = *state;
  if (STRESS) skip(); /* it is about one order of two timers of one moment */
  for (int waiter_first = 0; waiter_first <= 1; waiter_first++) {
    struct run run;
    start_run(fixture, &run,
              waiter_first ? "use_clock()\n"
                             "local task = spawn(function() checkpoint() sleep(2) return 7 end)\n"
                             "fails('timeout', 'in time', task.wait, task, 2) eq(task:wait(), 7)"
                           : "use_clock()\n"
                             "local task = spawn(function() sleep(2) return 7 end)\n"
                             "checkpoint() eq(task:wait(2), 7)");
    settle(fixture);
    advance(fixture, 2 * NS_PER_SECOND);
    turn_until(fixture, run.ended);
    expect_done(&run);
    assert_int_equal(fixture->clock._count, 0);
  }
}

static void is_cancelled_while_it_runs(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run, "cancel_me 'self' trace 'a' sleep(1000) trace 'b'");
  settle(fixture);
  expect_trace(fixture, "a");
  expect_failed(&run, "cancelled: self");
}

static void is_left_alone_when_it_has_ended(void **state) {
  struct fixture *fixture = *state;
  struct run first, second;
  struct fiber *fiber = start_run(fixture, &first, "");
  turn(fixture);
  fiber_cancel(fiber, "late");
  fiber_cancel(fiber, NULL);
  assert_ptr_equal(start_run(fixture, &second, "sleep(0)"), fiber);
  settle(fixture);
  turn_until(fixture, second.ended);
  expect_done(&second);
}

static void keeps_the_first_reason(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  struct fiber *fiber = start_run(fixture, &run,
                                  "fails('cancelled', 'cancelled', sleep, 1000)\n"
                                  "local _, err = pcall(sleep, 1000) eq(err.message, 'cancelled')\n"
                                  "cancel_me 'third' sleep(0)");
  turn(fixture);
  fiber_cancel(fiber, NULL);
  fiber_cancel(fiber, "second");
  settle(fixture);
  expect_failed(&run, "cancelled");
  assert_string_equal(run.error, "cancelled");
}

static void raises_at_every_wait_and_lets_others_run(void **state) {
  struct fixture *fixture = *state;
  struct run swallows, other;
  start_run(fixture, &swallows,
            "cancel_me()\n"
            "for i = 1, 4 do trace 'a' fails('cancelled', '', sleep, 1000) end");
  start_run(fixture, &other, "trace 'b' checkpoint() trace 'c' checkpoint() trace 'd'");
  turn(fixture);
  assert_int_equal(fixture->trace[0], 'a');
  assert_int_equal(fixture->trace[1], 'b');
  turn_until(fixture, swallows.ended && other.ended);
  assert_int_equal(strlen(fixture->trace), 7);
  expect_done(&swallows);
  expect_done(&other);
}

/* A loop that swallows its cancellation for ever does not keep timers and messages from coming. */
static void does_not_starve_the_worker_by_swallowing(void **state) {
  struct fixture *fixture = *state;
  struct run swallows, other;
  start_run(fixture, &swallows, "cancel_me() repeat pcall(sleep, 1) until over");
  start_run(fixture, &other, "sleep(0.01) over = true");
  turn_until(fixture, swallows.ended);
  expect_done(&swallows);
  expect_done(&other);
}

static void cancels_all_fibers_of_a_worker(void **state) {
  struct fixture *fixture = *state;
  struct run runs[3];
  start_run(fixture, &runs[0], "sleep(1000)");
  start_run(fixture, &runs[1], "park(1)");
  turn(fixture);
  start_run(fixture, &runs[2], "sleep(0) sleep(1000)");
  worker_cancel_all(&fixture->worker, "all");
  turn_until(fixture, runs[2].ended);
  for (int i = 0; i < 3; i++) expect_failed(&runs[i], "cancelled: all");
  assert_true(list_is_empty(&fixture->worker.fibers));
}

static void leaves_shielded_fibers_of_a_worker_out(void **state) {
  struct fixture *fixture = *state;
  struct run shielded, plain;
  start_run(fixture, &shielded, "sleep(0.001)");
  shielded.fiber->shielded = true;
  start_run(fixture, &plain, "sleep(1000)");
  turn(fixture);
  worker_cancel_unshielded(&fixture->worker, "all");
  turn_until(fixture, plain.ended && shielded.ended);
  expect_failed(&plain, "cancelled: all");
  expect_done(&shielded);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(starts_in_order),
      fixture_test(runs_what_is_started_by_a_fiber_behind_it),
      fixture_test(hands_over_arguments_and_kept_values),
      fixture_test(inherits_request_and_clock),
      fixture_test(parks_and_is_woken_with_its_ticket),
      fixture_test(drops_tickets_of_an_earlier_fiber),
      fixture_test(drops_tickets_of_waits_that_were_cancelled),
      fixture_test(wakes_all_of_a_list_in_order),
      fixture_test(waits_until_a_time_and_not_longer),
      fixture_test(goes_on_after_a_checkpoint_of_an_idle_worker),
      fixture_test(lets_fibers_go_on_in_the_order_of_their_checkpoints),
      fixture_test(cannot_wait_outside_of_a_fiber_or_below_c),
      fixture_test(is_cancelled_before_it_has_started),
      fixture_test(is_cancelled_where_it_waits),
      fixture_test(is_cancelled_between_wake_and_resume),
      fixture_test(is_woken_once_when_cancelled_as_its_timer_fires),
      fixture_test(is_woken_once_when_cancelled_by_a_fiber_of_its_turn),
      fixture_test(has_what_ended_with_the_limit_of_its_wait),
      fixture_test(is_cancelled_while_it_runs),
      fixture_test(is_left_alone_when_it_has_ended),
      fixture_test(keeps_the_first_reason),
      fixture_test(raises_at_every_wait_and_lets_others_run),
      fixture_test(does_not_starve_the_worker_by_swallowing),
      fixture_test(cancels_all_fibers_of_a_worker),
      fixture_test(leaves_shielded_fibers_of_a_worker_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
