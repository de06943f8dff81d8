/* channel_spec.c - channels: what is on its way when a wait ends otherwise, order, memory.
 *
 * A send or receive from outside of any fiber wakes a fiber that does not run yet: what happens to
 * it in between is what these races are about. The rest is in spec/apps/async/sync.lua. */
#include "worker_fixture.h"

static void is_received_when_the_time_is_over_right_after(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run, "use_clock() ch = channel() eq(ch:receive(2), 'v') trace 'got'");
  settle(fixture);
  expect_outside(fixture, "ch:send 'v'");
  pass_time(fixture, 5 * NS_PER_SECOND);
  settle(fixture);
  expect_trace(fixture, "got");
  expect_done(&run);
}

static void is_not_sent_to_one_whose_time_is_over(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run,
            "use_clock() ch = channel(1)\n"
            "fails('timeout', 'nothing was sent in time', ch.receive, ch, 2)\n"
            "eq(tostring(ch), 'channel: 1 of 1') eq(ch:receive(2), 'v') trace 'got'");
  settle(fixture);
  pass_time(fixture, 2 * NS_PER_SECOND);
  assert_int_equal(run.fiber->state, FIBER_READY);
  expect_outside(fixture, "eq(tostring(ch), 'channel: 0 of 1') ch:send 'v'");
  settle(fixture);
  expect_trace(fixture, "got");
  expect_done(&run);
}

/* Not nil before what is in it, although its time was over before that came. */
static void gives_what_came_before_it_was_closed(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  start_run(fixture, &run,
            "use_clock() ch = channel(1)\n"
            "eq(ch:receive(2), 'v') eq(ch:receive(2), nil) trace 'got'");
  settle(fixture);
  pass_time(fixture, 2 * NS_PER_SECOND);
  expect_outside(fixture, "ch:send 'v' ch:close()");
  settle(fixture);
  expect_trace(fixture, "got");
  expect_done(&run);
}

static void is_received_when_cancelled_right_after(void **state) {
  struct fixture *fixture = *state;
  static const char *const chunks[] = {
      "ch = channel() eq(ch:receive(), 'v') trace 'got' ch:receive()",
      "ch = channel() eq(ch:receive(1000), 'v') trace 'got' ch:send 'w'",
      "ch = channel() for v in ch:each() do eq(v, 'v') trace 'got' end",
      "ch = channel() coroutine.wrap(function() eq(ch:receive(), 'v') trace 'got' end)() sleep(0)"};
  for (size_t i = 0; i < array_len(chunks); i++) {
    struct run run;
    start_run(fixture, &run, chunks[i]);
    settle(fixture);
    expect_outside(fixture, "ch:send 'v'");
    fiber_cancel(run.fiber, "late");
    settle(fixture);
    expect_trace(fixture, "got");
    expect_failed(&run, "cancelled: late");
    expect_outside(fixture, "eq(tostring(ch), 'channel: 0 of 0')");
  }
}

static void goes_to_the_next_when_the_first_was_cancelled(void **state) {
  struct fixture *fixture = *state;
  struct run runs[2];
  start_run(fixture, &runs[0], "ch = channel() ch:receive()");
  start_run(fixture, &runs[1], "eq(ch:receive(), 'v')");
  settle(fixture);
  fiber_cancel(runs[0].fiber, "early");
  expect_outside(fixture, "ch:send 'v'");
  settle(fixture);
  expect_failed(&runs[0], "cancelled: early");
  expect_done(&runs[1]);
}

static void is_not_sent_by_one_that_was_cancelled(void **state) {
  struct fixture *fixture = *state;
  struct run runs[3];
  start_run(fixture, &runs[0], "ch = channel(1) ch:send 'a' ch:send 'b'");
  start_run(fixture, &runs[1], "ch:send 'c' trace 'sent'");
  settle(fixture);
  fiber_cancel(runs[0].fiber, "early");
  start_run(fixture, &runs[2],
            "eq(ch:receive(), 'a') eq(ch:receive(), 'c') ch:close()\n"
            "eq(ch:receive(), nil)");
  settle(fixture);
  expect_trace(fixture, "sent");
  expect_failed(&runs[0], "cancelled: early");
  expect_done(&runs[1]);
  expect_done(&runs[2]);
}

static void is_sent_by_one_that_is_cancelled_after_it_was_taken(void **state) {
  struct fixture *fixture = *state;
  for (int capacity = 0; capacity < 2; capacity++) {
    struct run run;
    start_run(fixture, &run,
              "capacity = (capacity or -1) + 1 ch = channel(capacity)\n"
              "for _ = 1, capacity do ch:send 'v' end\n"
              "ch:send 'v' trace 'sent' sleep(0)");
    settle(fixture);
    expect_outside(fixture, "eq(ch:receive(), 'v')");
    fiber_cancel(run.fiber, "late");
    expect_outside(fixture, "ch:close() if capacity == 1 then eq(ch:receive(), 'v') end\n"
                            "eq(ch:receive(), nil)");
    settle(fixture);
    expect_trace(fixture, "sent");
    expect_failed(&run, "cancelled: late");
  }
}

static void is_closed_between_taking_and_going_on(void **state) {
  struct fixture *fixture = *state;
  struct run runs[2];
  start_run(fixture, &runs[0], "ch = channel() ch:send 'a' trace 'sent'");
  start_run(fixture, &runs[1], "fails('closed', 'the channel was closed', ch.send, ch, 'b')");
  settle(fixture);
  expect_outside(fixture, "eq(ch:receive(), 'a') ch:close() eq(ch:receive(), nil)");
  settle(fixture);
  expect_trace(fixture, "sent");
  expect_done(&runs[0]);
  expect_done(&runs[1]);
}

/* The one that sends computes until the other's time is over: what it got is not lost to the
 * interruption, its next wait raises. */
static void is_received_when_a_deadline_has_passed_meanwhile(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture,
               "local ch, got, task\n"
               "repeat\n" /* until it waits before its time is over */
               "  ch = channel()\n"
               "  task = spawn(timeout, 0.02, function()\n"
               "    got = ch:receive() trace 'a' fails('cancelled', 'time is over', sleep, 0)\n"
               "  end)\n"
               "  checkpoint()\n"
               "until tostring(ch):find '1 waiting'\n"
               "local due = now() + 0.02 while now() < due do end\n"
               "ch:send 'v'\n"
               "fails('timeout', 'timeout after', task.wait, task)\n"
               "eq(got, 'v')\n");
  expect_trace(fixture, "a");
}

/* ---- the ring ---- */

static void keeps_the_order_however_large_it_grows(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture,
               "for _, capacity in ipairs { 1, 7, 8, 9, 100, 5000 } do\n"
               "  local ch, sent, received = channel(capacity), 0, 0\n"
               "  local function receive()\n"
               "    received = received + 1 eq(ch:receive(), received)\n"
               "  end\n"
               "  for round = 1, 5 do\n"
               "    while sent - received < capacity do sent = sent + 1 ch:send(sent) end\n"
               "    for _ = 1, capacity * round // 5 do receive() end\n"
               "  end\n"
               "  eq(tostring(ch), ('channel: 0 of %d'):format(capacity))\n"
               "end\n");
  expect_chunk(fixture,
               "local ch = channel(2000)\n"
               "for i = 1, 1000 do ch:send(2 * i - 1) ch:send(2 * i) eq(ch:receive(), i) end\n"
               "for i = 1001, 2000 do eq(ch:receive(), i) end\n");
}

static void gives_back_what_a_burst_has_needed(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "ch = channel(100000)");
  size_t before = lua_bytes(fixture);
  for (int round = 0; round < 3; round++) {
    expect_chunk(fixture, "for i = 1, 100000 do ch:send({ i }) end");
    assert_true(lua_bytes(fixture) > before + 100000 * sizeof(void *));
    expect_chunk(fixture, "for i = 1, 100000 do eq(ch:receive()[1], i) end");
    assert_in_range(lua_bytes(fixture), 0, before + 4096);
  }
}

static void keeps_nothing_that_was_received(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "ch, kept = channel(10), setmetatable({}, { __mode = 'k' })\n"
                        "for i = 1, 10 do local t = {} kept[t] = true ch:send(t) end\n"
                        "for i = 1, 9 do ch:receive() end\n");
  lua_bytes(fixture);
  expect_chunk(fixture, "local last = ch:receive() eq(next(kept), last) eq(next(kept, last), nil)");
}

/* A finalizer that sends while the ring grows for another send. */
static void may_be_used_while_it_grows(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "collectgarbage('incremental', 0, 1000, 16)\n" /* a cycle in each step */
                        "local inside, tries, between = false, 0, 0\n"
                        "while between < 5 do\n"
                        "  tries = tries + 1 if tries > 1000000 then error 'never' end\n"
                        "  for i = 1, tries % 97 do local _ = { i } end\n" /* another phase */
                        "  local ch, extra = channel(1000), 0\n"
                        "  for _ = 1, 10 do\n"
                        "    setmetatable({}, { __gc = function()\n"
                        "      if inside then between = between + 1 end\n"
                        "      for _ = 1, 9 do ch:send(0) extra = extra + 1 end\n"
                        "    end })\n"
                        "  end\n"
                        "  inside = true\n"
                        "  for i = 1, 40 do ch:send(i) end\n"
                        "  inside = false\n"
                        "  local count, last = 40 + extra, 0\n"
                        "  has(tostring(ch), ('channel: %d of'):format(count))\n"
                        "  for _ = 1, count do\n"
                        "    local v = ch:receive() if v > 0 then eq(v, last + 1) last = v end\n"
                        "  end\n"
                        "  eq(last, 40)\n"
                        "end\n");
}

/* ---- many ---- */

static void serves_many_in_order_and_leaves_nothing(void **state) {
  struct fixture *fixture = *state;
  static const char chunk[] =
      "local ch, got, tasks = channel(), 0, {}\n"
      "for i = 1, 10000 do\n"
      "  tasks[i] = spawn(function() eq(ch:receive(), i) got = got + 1 end)\n"
      "end\n"
      "checkpoint()\n"
      "has(tostring(ch), '10000 waiting to receive')\n"
      "for i = 1, 10000 do ch:send(i) end\n"
      "checkpoint() eq(got, 10000)\n"
      "for i = 1, 10000 do\n"
      "  tasks[i] = spawn(function() ch:send(i) end)\n"
      "end\n"
      "checkpoint()\n"
      "has(tostring(ch), '10000 waiting to send')\n"
      "for i = 1, 5000 do eq(ch:receive(), i) end\n"
      "for i = 5001, 10000 do tasks[i]:cancel() end\n"
      "eq(tostring(ch), 'channel: 0 of 0')\n"
      "for i = 1, 10000 do pcall(tasks[i].wait, tasks[i]) end\n";
  expect_no_leak(fixture, chunk);
}

static void ends_with_its_state(void **state) {
  struct fixture *fixture = *state;
  struct run runs[2];
  start_run(fixture, &runs[0], "ch = channel() ch:receive()");
  start_run(fixture, &runs[1], "local full = channel(1) full:send 'a' full:send 'b'");
  settle(fixture);
  expect_outside(fixture, "setmetatable({}, { __gc = function() ch:send 'late' end })");
  assert_int_equal(runs[0].fiber->state, FIBER_PARKED);
  fixture_finish_worker(fixture);
  assert_int_equal(runs[0].ended + runs[1].ended, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(is_received_when_the_time_is_over_right_after),
      fixture_test(is_not_sent_to_one_whose_time_is_over),
      fixture_test(gives_what_came_before_it_was_closed),
      fixture_test(is_received_when_cancelled_right_after),
      fixture_test(goes_to_the_next_when_the_first_was_cancelled),
      fixture_test(is_not_sent_by_one_that_was_cancelled),
      fixture_test(is_sent_by_one_that_is_cancelled_after_it_was_taken),
      fixture_test(is_closed_between_taking_and_going_on),
      fixture_test(is_received_when_a_deadline_has_passed_meanwhile),
      fixture_test(keeps_the_order_however_large_it_grows),
      fixture_test(gives_back_what_a_burst_has_needed),
      fixture_test(keeps_nothing_that_was_received),
      fixture_test(may_be_used_while_it_grows),
      fixture_test(serves_many_in_order_and_leaves_nothing),
      fixture_test(ends_with_its_state),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
