/* scope_spec.c - the stack of scopes: cancelled, expired, shielded, popped in any state.
 *
 * The first part pushes scopes on a fiber that does not run, and looks at what they say of it; the
 * second has chunks wait inside them, on a manual clock. Interruptions are in interrupt_spec.c. */
#include "worker_fixture.h"

#include "base/limits.h"

static int never_run(lua_State *L) {
  (void)L;
  return 0;
}

static struct fiber *new_fiber(struct fixture *fixture) {
  static const struct fiber_kind kind = {.entry = never_run};
  struct fiber *fiber = fiber_create(&fixture->worker, &kind);
  fiber->timers = &fixture->clock;
  return fiber;
}

static uint64_t in(struct fixture *fixture, uint64_t seconds) {
  return timers_now(&fixture->clock) + seconds * NS_PER_SECOND;
}

/* ---- the stack ---- */

static void starts_open(void **state) {
  struct fiber *fiber = new_fiber(*state);
  assert_null(fiber->scope);
  assert_false(fiber->cancelled);
  assert_null(scope_find_cancelled(fiber));
  assert_int_equal(fiber->interrupt_ns, HEARTBEAT_NEVER);
}

static void pops_with_what_is_inside(void **state) {
  struct fixture *fixture = *state;
  struct fiber *fiber = new_fiber(fixture);
  struct scope a = {0}, b = {0}, c = {0};
  scope_push(fiber, &a, in(fixture, 1), false);
  scope_push(fiber, &b, in(fixture, 2), false);
  scope_push(fiber, &c, in(fixture, 3), false);
  scope_cancel(&c, "reason");
  assert_int_equal(fixture->clock._count, 3);
  scope_pop(&b);
  assert_ptr_equal(fiber->scope, &a);
  assert_null(b.fiber);
  assert_null(c.fiber);
  assert_null(c.reason);
  assert_false(fiber->cancelled);
  assert_int_equal(fixture->clock._count, 1);
  scope_pop(&c);
  scope_pop(&b);
  scope_pop(&a);
  scope_pop(&a);
  assert_null(fiber->scope);
  assert_int_equal(fixture->clock._count, 0);
}

static void cancels_once(void **state) {
  struct fixture *fixture = *state;
  struct fiber *fiber = new_fiber(fixture);
  struct scope scope = {0};
  scope_push(fiber, &scope, in(fixture, 1), false);
  scope_cancel(&scope, "first");
  scope_cancel(&scope, "second");
  assert_string_equal(scope.reason, "first");
  assert_int_equal(scope.cause, SCOPE_CANCELLED);
  assert_true(fiber->cancelled);
  assert_ptr_equal(scope_find_cancelled(fiber), &scope);
  advance(fixture, 5 * NS_PER_SECOND); /* its deadline changes nothing any more */
  assert_int_equal(scope.cause, SCOPE_CANCELLED);
  assert_false(scope_is_expired(&scope));
  scope_pop(&scope);
  assert_false(fiber->cancelled);
}

static void finds_the_innermost_cancelled(void **state) {
  struct fixture *fixture = *state;
  struct fiber *fiber = new_fiber(fixture);
  struct scope a = {0}, b = {0}, c = {0};
  scope_push(fiber, &a, 0, false);
  scope_push(fiber, &b, 0, false);
  scope_push(fiber, &c, 0, false);
  scope_cancel(&a, NULL);
  assert_ptr_equal(scope_find_cancelled(fiber), &a);
  scope_cancel(&b, NULL);
  assert_ptr_equal(scope_find_cancelled(fiber), &b);
  scope_pop(&b);
  assert_ptr_equal(scope_find_cancelled(fiber), &a);
  scope_pop(&a);
  assert_null(scope_find_cancelled(fiber));
  fiber_cancel(fiber, NULL);
  assert_ptr_equal(scope_find_cancelled(fiber), scope_base(fiber));
}

static void keeps_the_outside_from_reaching_inside_a_shield(void **state) {
  struct fixture *fixture = *state;
  struct fiber *fiber = new_fiber(fixture);
  struct scope outer = {0}, shield = {0}, inner = {0};
  scope_push(fiber, &outer, in(fixture, 1), false);
  scope_push(fiber, &shield, 0, true);
  scope_push(fiber, &inner, 0, false);
  scope_cancel(&outer, NULL);
  fiber_cancel(fiber, NULL);
  assert_false(fiber->cancelled);
  assert_null(scope_find_cancelled(fiber));
  assert_int_equal(fiber->interrupt_ns, HEARTBEAT_NEVER);
  scope_cancel(&inner, NULL);
  assert_ptr_equal(scope_find_cancelled(fiber), &inner);
  scope_pop(&inner);
  assert_false(fiber->cancelled);
  scope_cancel(&shield, NULL); /* a shield can be cancelled itself */
  assert_ptr_equal(scope_find_cancelled(fiber), &shield);
  scope_pop(&shield);
  assert_true(fiber->cancelled);
  assert_ptr_equal(scope_find_cancelled(fiber), &outer);
  scope_pop(&outer);
}

/* ---- deadlines ---- */

static void expires(void **state) {
  struct fixture *fixture = *state;
  struct fiber *fiber = new_fiber(fixture);
  struct scope scope = {0}, never = {0};
  scope_push(fiber, &scope, in(fixture, 2), false);
  scope_push(fiber, &never, 0, false);
  advance(fixture, 2 * NS_PER_SECOND - 1);
  assert_false(scope_is_expired(&scope));
  assert_int_equal(timers_advance(&fixture->clock, 1), 0);
  assert_true(scope_is_expired(&scope)); /* before its timer has fired */
  assert_int_equal(scope.cause, SCOPE_OPEN);
  advance(fixture, 0);
  assert_int_equal(scope.cause, SCOPE_TIMEOUT);
  assert_true(scope_is_expired(&scope));
  assert_false(scope_is_expired(&never));
  assert_true(fiber->cancelled);
  scope_cancel(&scope, "late");
  assert_null(scope.reason);
  assert_int_equal(scope.cause, SCOPE_TIMEOUT);
  scope_pop(&scope);
}

/* The watchdog's clock is the real one: code is interrupted by deadlines of it only. */
static void has_computing_code_interrupted_in_real_time(void **state) {
  struct fixture *fixture = *state;
  struct fiber *fiber = new_fiber(fixture);
  struct scope manual = {0}, real = {0}, later = {0};
  scope_push(fiber, &manual, in(fixture, 1), false);
  assert_int_equal(fiber->interrupt_ns, HEARTBEAT_NEVER);
  fiber->timers = &fixture->worker.timers;
  uint64_t due = uv_hrtime() + 1000 * NS_PER_SECOND;
  scope_push(fiber, &real, due, false);
  scope_push(fiber, &later, due + 1, false);
  assert_int_equal(fiber->interrupt_ns, due);
  scope_pop(&real);
  scope_cancel(&manual, NULL);
  assert_int_equal(fiber->interrupt_ns, HEARTBEAT_NEVER);
  scope_pop(&manual);
}

/* However long it takes until a cancelled fiber gets to run: its grace is its own. */
static void has_its_grace_begin_when_it_runs(void **state) {
  struct fixture *fixture = *state;
  struct fiber *fiber = new_fiber(fixture);
  struct scope outer = {0}, shield = {0}, inner = {0};
  scope_push(fiber, &outer, 0, false);
  scope_push(fiber, &shield, 0, true);
  scope_push(fiber, &inner, 0, false);
  scope_cancel(&outer, NULL);
  scope_cancel(&inner, NULL);
  fixture->worker.running = fiber;
  uint64_t before = uv_hrtime();
  scope_begin_grace(fiber);
  assert_in_range(inner.interrupt_ns, before + INTERRUPT_GRACE_MS * NS_PER_MS,
                  uv_hrtime() + INTERRUPT_GRACE_MS * NS_PER_MS);
  assert_int_equal(fiber->interrupt_ns, inner.interrupt_ns);
  uint64_t first = inner.interrupt_ns;
  scope_begin_grace(fiber); /* it runs again */
  assert_int_equal(inner.interrupt_ns, first);
  assert_int_equal(outer.interrupt_ns, HEARTBEAT_NEVER);
  scope_pop(&shield); /* now the cancel reaches it */
  assert_in_range(outer.interrupt_ns, before + INTERRUPT_GRACE_MS * NS_PER_MS,
                  uv_hrtime() + INTERRUPT_GRACE_MS * NS_PER_MS);
  fixture->worker.running = NULL;
  scope_pop(&outer);
}

/* ---- detached scopes ---- */

static lua_State *const some_co = (lua_State *)&some_co;

static void takes_off_what_a_coroutine_has_opened(void **state) {
  struct fixture *fixture = *state;
  struct fiber *fiber = new_fiber(fixture), *other = new_fiber(fixture);
  struct scope own = {0}, a = {0}, b = {0};
  scope_push(fiber, &own, 0, false);
  scope_push(fiber, &a, in(fixture, 1), false);
  scope_push(fiber, &b, 0, false);
  assert_null(scope_detach(fiber, some_co));
  a.co = b.co = some_co;
  assert_ptr_equal(scope_detach(fiber, some_co), &b);
  assert_ptr_equal(fiber->scope, &own);
  assert_null(scope_detach(fiber, some_co));

  advance(fixture, NS_PER_SECOND); /* its time goes on */
  assert_int_equal(a.cause, SCOPE_TIMEOUT);
  assert_false(fiber->cancelled);

  scope_attach(other, &b);
  assert_true(other->cancelled);
  assert_ptr_equal(other->scope, &b);
  assert_ptr_equal(scope_find_cancelled(other), &a);
  scope_pop(&a);
  assert_null(other->scope);
  assert_false(other->cancelled);
}

static void may_be_popped_while_detached(void **state) {
  struct fixture *fixture = *state;
  struct fiber *fiber = new_fiber(fixture);
  struct scope a = {0}, b = {0};
  scope_push(fiber, &a, in(fixture, 1), false);
  scope_push(fiber, &b, in(fixture, 1), false);
  a.co = b.co = some_co;
  scope_detach(fiber, some_co);
  scope_cancel(&b, "reason");
  scope_pop(&b);
  scope_pop(&a);
  scope_pop(&a);
  assert_int_equal(fixture->clock._count, 0);
  assert_null(fiber->scope);
  assert_false(fiber->cancelled);
}

/* What an interruption left in the fiber must not outlive the scope, wherever that ends. */
static void takes_an_interruption_along_when_detached(void **state) {
  struct fixture *fixture = *state;
  struct fiber *fiber = new_fiber(fixture);
  struct scope outer = {0}, inner = {0};
  scope_push(fiber, &outer, 0, false);
  scope_cancel(&outer, NULL);
  outer.interrupt_ns = 1;
  assert_ptr_equal(scope_interrupt(fiber, 2), &outer);
  scope_push(fiber, &inner, 0, false);
  inner.co = some_co;
  inner.interrupt_ns = 1;
  assert_ptr_equal(scope_interrupt(fiber, 2), &inner);
  assert_ptr_equal(fiber->interrupted, &inner);
  scope_detach(fiber, some_co);
  assert_ptr_equal(fiber->interrupted, &outer);
  scope_pop(&inner);
  scope_pop(&outer);
  assert_null(fiber->interrupted);
}

/* ---- interruptions, as the hook asks for them ---- */

static void interrupts_the_outermost_that_is_due(void **state) {
  struct fiber *fiber = new_fiber(*state);
  struct scope a = {0}, b = {0}, shield = {0};
  assert_null(scope_interrupt(fiber, UINT64_MAX - 1));
  scope_push(fiber, &a, 0, false);
  scope_push(fiber, &b, 0, false);
  a.interrupt_ns = 10;
  b.interrupt_ns = 20;
  assert_null(scope_interrupt(fiber, 9));
  assert_ptr_equal(scope_interrupt(fiber, 25), &a); /* b is due as well */
  assert_int_equal(a.cause, SCOPE_TIMEOUT);
  assert_true(a.interrupt_ns > 15); /* its grace */
  assert_ptr_equal(fiber->interrupted, &a);
  assert_int_equal(fiber->interrupted_at, 1);
  assert_null(scope_interrupt(fiber, 19));
  assert_ptr_equal(scope_interrupt(fiber, 20), &b);
  assert_ptr_equal(fiber->interrupted, &b);
  scope_pop(&b);
  assert_ptr_equal(fiber->interrupted, &a);
  assert_int_equal(fiber->interrupted_at, 1);
  scope_push(fiber, &shield, 0, true);
  a.interrupt_ns = 10;
  assert_null(scope_interrupt(fiber, 15));
  scope_pop(&a);
  assert_null(fiber->interrupted);
}

static void insists_when_the_grace_is_over_until_the_scope_ends(void **state) {
  struct fiber *fiber = new_fiber(*state);
  struct scope scope = {0};
  scope_push(fiber, &scope, 0, false);
  scope.interrupt_ns = 10;
  scope_interrupt(fiber, 10);
  assert_false(fiber->insist);
  scope.interrupt_ns = 20;
  for (uint64_t now = 20; now < 25; now++) {
    assert_ptr_equal(scope_interrupt(fiber, now), &scope);
    assert_true(fiber->insist);
  }
  scope_pop(&scope);
  assert_false(fiber->insist);
  assert_null(fiber->interrupted);
}

/* The inner one uses its grace when the outer one is interrupted too: the order of interruption is
 * not that of nesting, and each may end or be interrupted again first. */
static void forgets_scopes_in_any_order(void **state) {
  struct fiber *fiber = new_fiber(*state);
  for (int again = 0; again < 2; again++) {
    struct scope outer = {0}, inner = {0};
    scope_push(fiber, &outer, 0, false);
    scope_push(fiber, &inner, 0, false);
    inner.interrupt_ns = 10;
    assert_ptr_equal(scope_interrupt(fiber, 10), &inner);
    outer.interrupt_ns = 10;
    assert_ptr_equal(scope_interrupt(fiber, 10), &outer);
    if (again) {
      inner.interrupt_ns = 10;
      assert_ptr_equal(scope_interrupt(fiber, 10), &inner);
      assert_true(fiber->insist);
    }
    scope_pop(&inner);
    assert_ptr_equal(fiber->interrupted, &outer);
    assert_false(fiber->insist);
    scope_pop(&outer);
    assert_null(fiber->interrupted);
    assert_int_equal(fiber->interrupted_at, 0);
  }
}

/* ---- waiting inside scopes ---- */

static void raises_inside_and_not_outside(void **state) {
  expect_chunk(*state, "do\n"
                       "  local s <close> = scope()\n"
                       "  cancel_scope(s, 'why')\n"
                       "  for _ = 1, 3 do fails('cancelled', 'cancelled: why', sleep, 0) end\n"
                       "end\n"
                       "sleep(0)\n"
                       "local outer <close> = scope()\n"
                       "do\n"
                       "  local inner <close> = scope()\n"
                       "  cancel_scope(outer, 'outer')\n"
                       "  cancel_scope(inner, 'inner')\n"
                       "  fails('cancelled', 'inner', sleep, 0)\n"
                       "end\n"
                       "fails('cancelled', 'outer', sleep, 0)\n");
}

static void is_shielded_while_it_waits(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  struct fiber *fiber = start_run(fixture, &run,
                                  "do\n"
                                  "  local s <close> = scope(nil, true)\n"
                                  "  park(1) trace 'a' sleep(0) trace 'b'\n"
                                  "end\n"
                                  "trace 'c' sleep(0) trace 'd'");
  turn(fixture);
  fiber_cancel(fiber, "spec");
  turn(fixture);
  assert_int_equal(fiber->state, FIBER_PARKED);
  fiber_wake(fixture->tickets[1]);
  turn_until(fixture, run.ended);
  expect_trace(fixture, "abc");
  expect_failed(&run, "cancelled: spec");
}

static void wakes_what_waits_when_time_is_over(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run,
            "use_clock()\n"
            "local began = now()\n"
            "local err = fails('timeout', 'timeout after 2', timeout, 2, sleep, 5)\n"
            "eq(now() - began, 2)\n"
            "eq(select('#', timeout(2, function(...) sleep(1) return ... end, 1, nil)), 2)\n"
            "eq(now() - began, 3)\n"
            "fails('timeout', 'timeout after 1', timeout, 5, timeout, 1, sleep, 3)\n"
            "fails('timeout', 'timeout after 1', timeout, 1, timeout, 5, sleep, 3)\n"
            "eq(now() - began, 5)\n"
            "fails('misuse', 'own', timeout, 1, error, 'own')\n"
            "trace 'x'");
  settle(fixture);
  advance(fixture, 10 * NS_PER_SECOND);
  expect_trace(fixture, "x");
  expect_done(&run);
  assert_int_equal(fixture->clock._count, 0);
}

/* The deadline passed before the function ended: that it swallowed the error does not help. */
static void raises_timeout_though_the_function_returns(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run,
            "use_clock()\n"
            "fails('timeout', '', timeout, 1, function()\n"
            "  for _ = 1, 3 do fails('cancelled', 'its time is over', sleep, 9) trace 'a' end\n"
            "  return 'result'\n"
            "end)\n"
            "sleep(1) trace 'b'");
  settle(fixture);
  advance(fixture, NS_PER_SECOND);
  advance(fixture, NS_PER_SECOND);
  expect_trace(fixture, "aaab");
  expect_done(&run);
}

static void ends_with_an_error_inside(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "use_clock()\n"
                        "for _ = 1, 100 do\n"
                        "  pcall(function() local s <close> = scope(5) error 'x' end)\n"
                        "  pcall(function() local s = scope(5) s = nil error 'x' end)\n"
                        "end\n"
                        "collectgarbage()\n");
  assert_int_equal(fixture->clock._count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(starts_open),
      fixture_test(pops_with_what_is_inside),
      fixture_test(cancels_once),
      fixture_test(finds_the_innermost_cancelled),
      fixture_test(keeps_the_outside_from_reaching_inside_a_shield),
      fixture_test(expires),
      fixture_test(has_computing_code_interrupted_in_real_time),
      fixture_test(has_its_grace_begin_when_it_runs),
      fixture_test(takes_off_what_a_coroutine_has_opened),
      fixture_test(may_be_popped_while_detached),
      fixture_test(takes_an_interruption_along_when_detached),
      fixture_test(interrupts_the_outermost_that_is_due),
      fixture_test(insists_when_the_grace_is_over_until_the_scope_ends),
      fixture_test(forgets_scopes_in_any_order),
      fixture_test(raises_inside_and_not_outside),
      fixture_test(is_shielded_while_it_waits),
      fixture_test(wakes_what_waits_when_time_is_over),
      fixture_test(raises_timeout_though_the_function_returns),
      fixture_test(ends_with_an_error_inside),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
