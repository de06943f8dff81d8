/* coroutine_spec.c - the app's own coroutines inside fibers: yields reach the app, waits the
 * worker.
 *
 * What a coroutine may do while it waits, who may touch it meanwhile, and what becomes of the
 * scopes that a suspended one holds open. Chunks run in fibers; `park` holds one still while others
 * look. */
#include "worker_fixture.h"

/* ---- yields and waits ---- */

static void waits_and_yields_in_turn(void **state) {
  expect_chunk(*state, "local out = {}\n"
                       "local it = coroutine.wrap(function(...)\n"
                       "  eq(select('#', ...), 3) eq((...), 'a')\n"
                       "  sleep(0)\n"
                       "  local x, y = coroutine.yield(1, nil, nil)\n"
                       "  eq(x, nil) eq(y, 'y')\n"
                       "  sleep(0) checkpoint()\n"
                       "  coroutine.yield()\n"
                       "  sleep(0)\n"
                       "  return 'end', nil\n"
                       "end)\n"
                       "sleep(0)\n"
                       "eq(select('#', it('a', nil, nil)), 3)\n"
                       "sleep(0)\n"
                       "eq(select('#', it(nil, 'y')), 0)\n"
                       "eq(select('#', it()), 2)\n"
                       "fails('misuse', 'cannot resume dead coroutine', it)\n");
}

static void waits_inside_coroutines_inside_coroutines(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "local function count(depth, n)\n"
                        "  return coroutine.wrap(function()\n"
                        "    if depth == 0 then\n"
                        "      for i = 1, n do sleep(0) coroutine.yield(i) end\n"
                        "    else\n"
                        "      for i in count(depth - 1, n) do sleep(0) coroutine.yield(i) end\n"
                        "    end\n"
                        "  end)\n"
                        "end\n"
                        "local sum = 0\n"
                        "for i in count(5, 4) do sum = sum + i sleep(0) end\n"
                        "eq(sum, 10)\n");
}

static void lets_other_fibers_run_meanwhile(void **state) {
  struct fixture *fixture = *state;
  struct run runs[2];
  start_run(fixture, &runs[0],
            "for i in coroutine.wrap(function()\n"
            "  for i = 1, 3 do trace 'a' checkpoint() coroutine.yield(i) end\n"
            "end) do trace(tostring(i)) end");
  start_run(fixture, &runs[1], "for i = 1, 3 do trace 'b' checkpoint() end");
  turn_until(fixture, runs[0].ended && runs[1].ended);
  expect_trace(fixture, "ab1ab2ab3");
  expect_done(&runs[0]);
}

static void has_lua_s_own_manners(void **state) {
  expect_chunk(*state,
               "local co co = coroutine.create(function(a)\n"
               "  eq(coroutine.status(co), 'running') eq(coroutine.running(), co)\n"
               "  eq(select(2, coroutine.running()), false) eq(coroutine.isyieldable(), true)\n"
               "  eq(select(2, coroutine.resume(co)), 'cannot resume non-suspended coroutine')\n"
               "  local inner = coroutine.wrap(function() eq(coroutine.status(co), 'normal') end)\n"
               "  inner()\n"
               "  coroutine.yield(a)\n"
               "  error { code = 7 }\n"
               "end)\n"
               "eq(coroutine.status(co), 'suspended')\n"
               "eq(select(2, coroutine.resume(co, 5)), 5)\n"
               "eq(coroutine.status(co), 'suspended')\n"
               "local ok, err = coroutine.resume(co)\n"
               "eq(ok, false) eq(err.code, 7) eq(coroutine.status(co), 'dead')\n"
               "eq(select(2, coroutine.resume(co)), 'cannot resume dead coroutine')\n"
               "local it = coroutine.wrap(function() error('bad', 0) end)\n"
               "has(select(2, pcall(it)), 'bad')\n"
               "fails('misuse', 'coroutine expected', coroutine.resume, 1)\n"
               "fails('misuse', 'function expected', coroutine.create, {})\n"
               "fails('misuse', 'coroutine expected', coroutine.status)\n");
}

static void refuses_to_yield_where_only_waiting_makes_sense(void **state) {
  expect_chunk(*state, "eq(coroutine.isyieldable(), false)\n"
                       "fails('misuse', 'outside of a coroutine of the app', coroutine.yield, 1)\n"
                       "sleep(0)\n");
}

static void catches_errors_across_waits(void **state) {
  expect_chunk(
      *state,
      "local it = coroutine.wrap(function()\n"
      "  local ok, err = pcall(function() sleep(0) coroutine.yield(1) sleep(0) error {} end)\n"
      "  eq(ok, false) eq(type(err), 'table')\n"
      "  eq(select('#', pcall(function(...) sleep(0) return ... end, 1, nil)), 3)\n"
      "  ok, err = xpcall(function(a) sleep(0) error(a) end, function(e) return e .. '!' end,\n"
      "    'x')\n"
      "  has(err, 'x!')\n"
      "  eq(select('#', xpcall(function(...) sleep(0) return ... end, print, 1, nil)), 3)\n"
      "  coroutine.yield(2)\n"
      "end)\n"
      "eq(it(), 1) sleep(0) eq(it(), 2)\n"
      "fails('misuse', 'value expected', pcall)\n"
      "fails('misuse', 'function expected', xpcall, print)\n");
}

static void nests_deep_and_fails_deeper(void **state) {
  expect_chunk(*state, "local function nest(depth)\n"
                       "  if depth == 0 then sleep(0) return 0 end\n"
                       "  return coroutine.wrap(nest)(depth - 1) + 1\n"
                       "end\n"
                       "eq(nest(90), 90)\n"
                       "for _ = 1, 3 do\n"
                       "  fails('misuse', 'C stack overflow', nest, 1000)\n"
                       "end\n"
                       "eq(nest(90), 90)\n"
                       "sleep(0)\n");
}

/* ---- while it waits ---- */

static const char looks_at_what_waits[] =
    "eq(coroutine.status(shared), 'normal')\n"
    "local ok, err = coroutine.resume(shared)\n"
    "eq(ok, false) has(err, 'is waiting in task')\n"
    "fails('misuse', 'waiting', coroutine.close, shared)\n"
    "if iterate then fails('misuse', 'is waiting in task', iterate) end\n"
    "eq(coroutine.wrap(function() return coroutine.status(shared) end)(), 'normal')\n";

static void is_left_alone_while_it_waits(void **state) {
  struct fixture *fixture = *state;
  struct run waits, looks;
  start_run(fixture, &waits,
            "iterate = coroutine.wrap(function()\n"
            "  shared = coroutine.running()\n"
            "  park(1) trace 'a' coroutine.yield() trace 'b'\n"
            "end)\n"
            "iterate()\n"
            "eq(coroutine.status(shared), 'suspended')\n"
            "iterate()\n"
            "eq(coroutine.status(shared), 'dead')");
  turn(fixture);
  start_run(fixture, &looks, looks_at_what_waits);
  turn(fixture);
  expect_done(&looks);
  assert_int_equal(waits.ended, 0);
  assert_true(fiber_wake(fixture->tickets[1]));
  turn(fixture);
  expect_trace(fixture, "ab");
  expect_done(&waits);
}

static void names_the_task_that_waits(void **state) {
  struct fixture *fixture = *state;
  struct run waits, looks;
  start_run(fixture, &waits,
            "coroutine.wrap(function() shared = coroutine.running() park(1) end)()")
      ->name = "the waiting one";
  turn(fixture);
  start_run(fixture, &looks,
            "has(select(2, coroutine.resume(shared)), 'waiting in task the waiting one')")
      ->name = "the one that looks";
  turn(fixture);
  expect_done(&looks);
}

/* A middle coroutine is not the one that parked, but it is inside the wait as well. */
static void is_left_alone_when_an_inner_one_waits(void **state) {
  struct fixture *fixture = *state;
  struct run waits, looks;
  start_run(fixture, &waits,
            "coroutine.wrap(function()\n"
            "  shared = coroutine.running()\n"
            "  coroutine.wrap(function() park(1) end)()\n"
            "end)()");
  turn(fixture);
  start_run(fixture, &looks, looks_at_what_waits);
  turn(fixture);
  expect_done(&looks);
  fiber_wake(fixture->tickets[1]);
  turn(fixture);
  expect_done(&waits);
}

/* coroutine.running() gives Lua the fiber's own coroutine: nobody may resume that. */
static void is_left_alone_when_it_is_a_fiber_s(void **state) {
  struct fixture *fixture = *state;
  struct run waits, looks;
  start_run(fixture, &waits, "shared = coroutine.running() park(1) trace 'a' sleep(0) trace 'b'");
  turn(fixture);
  start_run(fixture, &looks, looks_at_what_waits);
  turn(fixture);
  expect_trace(fixture, "");
  expect_done(&looks);
  assert_true(fiber_wake(fixture->tickets[1]));
  start_run(fixture, &looks, "eq(coroutine.status(shared), 'normal')");
  turn(fixture);
  turn_until(fixture, waits.ended);
  expect_trace(fixture, "ab");
  expect_done(&waits);
  start_run(fixture, &looks, "eq(coroutine.status(shared), 'dead')");
  turn(fixture);
  expect_done(&looks);
}

static void is_cancelled_inside(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run,
            "local co = coroutine.create(function()\n"
            "  local c <close> = closing(function() trace 'c' end)\n"
            "  coroutine.wrap(function() park(1) end)()\n"
            "end)\n"
            "local ok, err = coroutine.resume(co)\n"
            "eq(ok, false) eq(err.kind, 'cancelled') eq(coroutine.status(co), 'dead')\n"
            "sleep(0)");
  turn(fixture);
  fiber_cancel(run.fiber, "spec");
  settle(fixture);
  expect_trace(fixture, "c");
  expect_failed(&run, "cancelled: spec");
}

/* ---- closing ---- */

static void closes_what_is_suspended(void **state) {
  expect_chunk(*state, "local function held(closer)\n"
                       "  local co = coroutine.create(function()\n"
                       "    local x <close> = closing(closer)\n"
                       "    coroutine.yield()\n"
                       "  end)\n"
                       "  coroutine.resume(co)\n"
                       "  return co\n"
                       "end\n"
                       "local co = held(function() trace 'a' end)\n"
                       "eq(coroutine.close(co), true) eq(coroutine.status(co), 'dead')\n"
                       "eq(coroutine.close(co), true)\n"
                       "co = held(function() error { code = 1 } end)\n"
                       "local ok, err = coroutine.close(co)\n"
                       "eq(ok, false) eq(err.code, 1) eq(coroutine.status(co), 'dead')\n"
                       "co = held(function() sleep(0) end)\n"
                       "ok, err = coroutine.close(co)\n"
                       "eq(ok, false) has(err, 'async.sleep cannot wait here: a closer run by')\n"
                       "eq(coroutine.close(coroutine.create(print)), true)\n"
                       "fails('misuse', 'cannot close a running', coroutine.wrap(function()\n"
                       "  coroutine.close(coroutine.running()) end))\n"
                       "sleep(0)");
}

/* ---- scopes that a suspended coroutine holds open ---- */

static void keeps_its_scopes_to_itself(void **state) {
  expect_chunk(*state, "local held\n"
                       "local it = coroutine.wrap(function()\n"
                       "  held = scope()\n"
                       "  local s <close> = held\n"
                       "  coroutine.yield()\n"
                       "  fails('cancelled', 'why', sleep, 0)\n"
                       "  coroutine.yield()\n"
                       "  fails('cancelled', 'why', sleep, 0)\n"
                       "end)\n"
                       "it()\n"
                       "cancel_scope(held, 'why')\n"
                       "sleep(0)\n"
                       "it()\n"
                       "sleep(0)\n"
                       "it()\n"
                       "sleep(0)\n");
}

static void is_reached_by_the_scopes_around_it(void **state) {
  expect_chunk(*state, "local it = coroutine.wrap(function()\n"
                       "  local s <close> = scope()\n"
                       "  coroutine.yield()\n"
                       "  fails('cancelled', 'around', sleep, 0)\n"
                       "  coroutine.yield()\n"
                       "  sleep(0)\n"
                       "  return 'end'\n"
                       "end)\n"
                       "it()\n"
                       "do\n"
                       "  local around <close> = scope()\n"
                       "  cancel_scope(around, 'around')\n"
                       "  it()\n"
                       "end\n"
                       "sleep(0)\n"
                       "eq(it(), 'end')\n");
}

static void nests_scopes_of_nested_coroutines(void **state) {
  expect_chunk(*state, "local a, b\n"
                       "local outer = coroutine.wrap(function()\n"
                       "  a = scope() local s1 <close> = a\n"
                       "  local inner = coroutine.wrap(function()\n"
                       "    b = scope() local s2 <close> = b\n"
                       "    coroutine.yield()\n"
                       "    fails('cancelled', 'b', sleep, 0)\n"
                       "  end)\n"
                       "  inner()\n"
                       "  cancel_scope(b, 'b')\n"
                       "  sleep(0)\n"
                       "  coroutine.yield()\n"
                       "  fails('cancelled', 'a', sleep, 0)\n"
                       "  inner()\n"
                       "  fails('cancelled', 'a', sleep, 0)\n"
                       "end)\n"
                       "outer()\n"
                       "cancel_scope(a, 'a')\n"
                       "sleep(0)\n"
                       "outer()\n"
                       "sleep(0)\n");
}

static void takes_its_deadline_to_another_fiber(void **state) {
  struct fixture *fixture = *state;
  struct run first, second;
  start_run(fixture, &first,
            "use_clock()\n"
            "it = coroutine.wrap(function()\n"
            "  fails('timeout', 'timeout after 2', timeout, 2, function()\n"
            "    coroutine.yield() trace 'a' sleep(10) trace '?'\n"
            "  end)\n"
            "  trace 'b' sleep(1) trace 'c'\n"
            "end)\n"
            "it() trace '1' sleep(1) trace '2'");
  settle(fixture);
  advance(fixture, NS_PER_SECOND);
  expect_trace(fixture, "12");
  expect_done(&first);
  start_run(fixture, &second, "use_clock() sleep(0) it() trace '3'");
  settle(fixture);
  advance(fixture, NS_PER_SECOND / 2);
  expect_trace(fixture, "a");
  advance(fixture, NS_PER_SECOND / 2);
  expect_trace(fixture, "b");
  advance(fixture, NS_PER_SECOND);
  expect_trace(fixture, "c3");
  expect_done(&second);
  assert_int_equal(fixture->clock._count, 0);
}

static void outlives_the_fiber_that_opened_its_scope(void **state) {
  struct fixture *fixture = *state;
  struct run runs[2];
  start_run(fixture, &runs[0],
            "it = coroutine.wrap(function()\n"
            "  held = scope(1000) local s <close> = held\n"
            "  coroutine.yield() fails('cancelled', 'late', sleep, 0) trace 'a'\n"
            "end)\n"
            "it()");
  turn(fixture);
  expect_done(&runs[0]);
  start_run(fixture, &runs[1], "cancel_scope(held, 'late') sleep(0) it() sleep(0) trace 'b'");
  turn_until(fixture, runs[1].ended);
  expect_trace(fixture, "ab");
  expect_done(&runs[1]);
}

static void is_collected_with_its_scopes(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "use_clock()\n"
                        "for _ = 1, 100 do\n"
                        "  coroutine.wrap(function()\n"
                        "    timeout(5, function()\n"
                        "      local s <close> = scope(6)\n"
                        "      coroutine.wrap(function() timeout(7, coroutine.yield) end)()\n"
                        "      coroutine.yield()\n"
                        "    end)\n"
                        "  end)()\n"
                        "end\n"
                        "sleep(0)\n");
  lua_bytes(fixture);
  assert_int_equal(fixture->clock._count, 0);
}

static void closes_with_its_scopes(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "use_clock()\n"
                        "local co = coroutine.create(function()\n"
                        "  timeout(5, function()\n"
                        "    local s <close> = scope(6)\n"
                        "    coroutine.yield()\n"
                        "  end)\n"
                        "end)\n"
                        "coroutine.resume(co)\n"
                        "eq(coroutine.close(co), true)\n"
                        "sleep(0)\n");
  assert_int_equal(fixture->clock._count, 0);
}

/* ---- outside of fibers ---- */

static void works_outside_of_fibers(void **state) {
  struct fixture *fixture = *state;
  lua_State *L = fixture->worker.L;
  if (luaL_dostring(L, "local it = coroutine.wrap(function(a)\n"
                       "  eq(coroutine.yield(a + 1), 'x')\n"
                       "  has(select(2, pcall(sleep, 0)), 'outside of a task')\n"
                       "  return 'end'\n"
                       "end)\n"
                       "eq(it(1), 2) eq(it('x'), 'end')\n"
                       "eq(coroutine.isyieldable(), false)\n"
                       "eq(select(2, coroutine.running()), true)\n"
                       "eq(pcall(coroutine.yield), false)\n"))
    fail_msg("%s", lua_tostring(L, -1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(waits_and_yields_in_turn),
      fixture_test(waits_inside_coroutines_inside_coroutines),
      fixture_test(lets_other_fibers_run_meanwhile),
      fixture_test(has_lua_s_own_manners),
      fixture_test(refuses_to_yield_where_only_waiting_makes_sense),
      fixture_test(catches_errors_across_waits),
      fixture_test(nests_deep_and_fails_deeper),
      fixture_test(is_left_alone_while_it_waits),
      fixture_test(names_the_task_that_waits),
      fixture_test(is_left_alone_when_an_inner_one_waits),
      fixture_test(is_left_alone_when_it_is_a_fiber_s),
      fixture_test(is_cancelled_inside),
      fixture_test(closes_what_is_suspended),
      fixture_test(keeps_its_scopes_to_itself),
      fixture_test(is_reached_by_the_scopes_around_it),
      fixture_test(nests_scopes_of_nested_coroutines),
      fixture_test(takes_its_deadline_to_another_fiber),
      fixture_test(outlives_the_fiber_that_opened_its_scope),
      fixture_test(is_collected_with_its_scopes),
      fixture_test(closes_with_its_scopes),
      fixture_test(works_outside_of_fibers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
