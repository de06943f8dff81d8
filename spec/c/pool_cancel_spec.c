/* pool_cancel_spec.c - calls that are given up: by their caller, its end, that of all or the pools.
 *
 * Wherever the call is then (queued, waiting, computing, done), it ends, its closers run, and its
 * thread is free for the next one. The crowd at the end has many workers call at once. */
#include "pool_fixture.h"

/* One thread: the next call runs on it only when the one before has ended. */
static void expect_free(struct site *site) {
  expect_call(site, "eq(add(1, 2), 3)");
  assert_int_equal(counted(LOADS), 2);
}

/* ---- given up by the caller ---- */

static void leaves_the_queue_when_cancelled(void **state) {
  struct site *site = *state;
  struct run runs[3];
  start_run(site->fixture, &runs[0], "gated()");
  turn_until_counted(site, BEGUN, 1);
  start_run(site->fixture, &runs[1], "waits()");
  start_run(site->fixture, &runs[2], "waits()");
  settle(site->fixture);
  fiber_cancel(runs[1].fiber, "spec");
  fiber_cancel(runs[2].fiber, "spec");
  settle(site->fixture);
  expect_failed(&runs[1], "cancelled: spec");
  expect_failed(&runs[2], "cancelled: spec");
  struct run again; /* there is room again */
  start_run(site->fixture, &again, "eq(add(1, 2), 3)");
  atomic_store(&counters[GATE], 1);
  turn_until(site->fixture, again.ended);
  expect_done(&again);
  expect_done(&runs[0]);
  assert_int_equal(counted(BEGUN), 1); /* neither has run */
  expect_free(site);
}

static void expect_ended(struct site *site, const char *chunk, int closers) {
  struct run run;
  int begun = counted(BEGUN), closed = counted(CLOSED);
  start_run(site->fixture, &run, chunk);
  turn_until_counted(site, BEGUN, begun + closers);
  fiber_cancel(run.fiber, "spec");
  settle(site->fixture);
  expect_failed(&run, "cancelled: spec"); /* at once: the caller does not wait for the pool */
  turn_until_counted(site, CLOSED, closed + closers);
  assert_int_equal(counted(ENDED), 0);
  expect_free(site);
}

static void ends_where_it_waits(void **state) {
  expect_ended(*state, "waits()", 1);
  expect_ended(*state, "swallows()", 1);
}

static void ends_where_it_computes(void **state) {
  expect_ended(*state, "computes()", 1);
  expect_ended(*state, "insists()", 1);
  expect_ended(*state, "computes()", 1);
}

/* Code that computes for ever, below Lua and below C. */
static const char *const endless[] = {
    "while true do pcall(error) end",
    "while true do xpcall(error, function() while true do end end) end",
    "coroutine.wrap(function() coroutine.wrap(function() while true do end end)() end)()",
    "local co = coroutine.wrap(function() while true do pcall(coroutine.yield) end end)\n"
    "while true do co() end",
    "local list = {} for i = 1, 50000 do list[i] = -i end\n"
    "while true do table.sort(list, function(a, b) return a < b end) list[1] = 0 end",
    "table.sort({ 3, 2, 1 }, function() while true do end end)",
    "string.gsub('abc', '.', function() while true do pcall(error) end end)",
    "return setmetatable({}, { __index = function() while true do end end }).x",
    "while true do string.rep('x', 1000):find 'y' end",
};

static void ends_whatever_it_computes(void **state) {
  struct site *site = *state;
  char chunk[1024];
  expect_call(site, "run 'kept, closed = 0, 0'");
  for (size_t i = 0; i < array_len(endless); i++) {
    struct run run;
    int begun = counted(BEGUN);
    snprintf(chunk, sizeof chunk,
             "code = [[\n"
             "local c <close> = setmetatable({}, { __close = function()\n"
             "  for _ = 1, 1000 do pcall(error) end closed = closed + 1 end })\n"
             "kept = kept + 1 count(BEGUN)\n"
             "%s]]\n"
             "run(code)\n",
             endless[i]);
    start_run(site->fixture, &run, chunk);
    turn_until_counted(site, BEGUN, begun + 1);
    fiber_cancel(run.fiber, "spec");
    settle(site->fixture);
    expect_failed(&run, "cancelled: spec");
    expect_free(site);
    expect_call(site, "repeat local before = counter(BEGUN)\n"
                      "  fails('timeout', '', run_blocking, { timeout = 0.05 }, run, code)\n"
                      "  add(1, 2)\n" /* behind it */
                      "until counter(BEGUN) > before");
    expect_free(site);
  }
  expect_call(site, "local kept, closed = run 'return kept, closed'\n"
                    "eq(kept, counter(BEGUN)) eq(closed, kept)");
}

static void ends_with_what_it_has_spawned(void **state) {
  struct site *site = *state;
  expect_call(site, "eq(spawns(), 'spawned')");
  assert_int_equal(counted(BEGUN), 3);
  assert_int_equal(counted(CLOSED), 3);
  assert_int_equal(counted(ENDED), 0);
  expect_free(site);
}

static void may_time_out(void **state) {
  struct site *site = *state;
  expect_call(site, "fails('timeout', '', timeout, 0.01, computes)\n"
                    "fails('timeout', '', timeout, 0.01, waits)\n"
                    "fails('timeout', '', timeout, 0.01, insists)\n");
  turn_until(site->fixture, counted(CLOSED) == counted(BEGUN));
  expect_free(site);
}

static void is_cancelled_with_the_others_of_a_gather(void **state) {
  struct site *site = *state;
  expect_call(site, "fails('misuse', 'enough', gather, waits, waits, function()\n"
                    "  await(BEGUN, 1) error 'enough' end)\n");
  turn_until(site->fixture, counted(CLOSED) == counted(BEGUN));
  expect_free(site);
}

/* ---- given up without a word: the box is collected ---- */

/* hand_in(marked, ...) -> the box of the call, which nobody waits for */
static int hand_in(lua_State *L) {
  struct place *place = place_of(L, 1);
  call_prepare(L, place, lua_gettop(L) - 1, "default");
  call_submit(L, -1);
  call_submit(L, -1); /* a second time is harmless */
  return 1;
}

/* prepare(marked, ...) -> the box of a call that is not handed in */
static int prepare(lua_State *L) {
  call_prepare(L, place_of(L, 1), lua_gettop(L) - 1, "default");
  return 1;
}

static int await_call(lua_State *L) {
  return call_await(L, 1);
}

static int start_boxes(void **state) {
  start_narrow_site(state);
  struct site *site = *state;
  lua_register(site->fixture->worker.L, "hand_in", hand_in);
  lua_register(site->fixture->worker.L, "prepare", prepare);
  lua_register(site->fixture->worker.L, "await_call", await_call);
  return 0;
}

static void is_abandoned_with_its_box(void **state) {
  struct site *site = *state;
  expect_call(site, "running = hand_in(computes) await(BEGUN, 1)\n"
                    "queued = hand_in(waits, 1, 2)\n"
                    "fresh = prepare(echo, ('x'):rep(1000))\n"
                    "queued, fresh = nil collectgarbage()\n"
                    "eq(counter(CLOSED), 0)\n"
                    "running = nil collectgarbage()\n"
                    "await(CLOSED, 1)\n");
  expect_free(site);
  assert_int_equal(counted(BEGUN), 1);
  expect_call(site, "done = hand_in(echo, 'result') eq(add(1, 2), 3)\n" /* behind it */
                    "done = nil collectgarbage() collectgarbage()\n");
  expect_free(site);
}

static void may_be_awaited_later(void **state) {
  struct site *site = *state;
  expect_call(site, "local box = hand_in(echo, 5, nil) eq(add(1, 2), 3)\n"
                    "sleep(0)\n"
                    "eq(select('#', await_call(box)), 2)\n"
                    "box = hand_in(raise, 'late') sleep(0)\n"
                    "fails('misuse', 'late', await_call, box)\n"
                    "fails('transfer', 'argument 1 (thread)', prepare, echo,\n"
                    "  coroutine.create(print))\n");
}

/* ---- the end of the caller and of the pools, in any order ---- */

static void start_one_of_each(struct site *site, struct run runs[4]) {
  static const char *const chunks[] = {"computes()", "waits()", "gated()", "gated()"};
  for (int i = 0; i < 4; i++) start_run(site->fixture, &runs[i], chunks[i]);
  turn_until_counted(site, BEGUN, 3);
}

static void stops_with_calls_running_and_queued(void **state) {
  struct site *site = *state;
  struct run runs[4];
  start_one_of_each(site, runs);
  destroy_pools(site);
  assert_int_equal(counted(CLOSED), 2);
  settle(site->fixture);
  for (int i = 0; i < 3; i++) expect_failed(&runs[i], "cancelled");
  expect_failed(&runs[3], "the call was not run: its pool stopped");
  assert_int_equal(counted(BEGUN), 3);
  struct run late;
  start_run(site->fixture, &late, "add(1, 2)");
  settle(site->fixture);
  expect_failed(&late, "pool 'default'");
}

static void outlives_its_caller(void **state) {
  struct site *site = *state;
  struct run runs[4];
  start_one_of_each(site, runs);
  fixture_finish_worker(site->fixture);
  destroy_pools(site);
  assert_int_equal(counted(CLOSED), 2);
  for (int i = 0; i < 4; i++) assert_int_equal(runs[i].ended, 0);
}

static void expect_ended_somehow(struct site *site, struct run *runs, int count) {
  settle(site->fixture);
  for (int i = 0; i < count; i++) {
    assert_int_equal(runs[i].ended, 1);
    free(runs[i].traceback);
  }
}

static void stops_while_it_starts(void **state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    struct site *site;
    struct run runs[5];
    start_site((void **)&site);
    for (int j = 0; j < 5; j++) start_run(site->fixture, &runs[j], "add(1, 2)");
    for (int j = 0; j < i % 3; j++) turn(site->fixture);
    destroy_pools(site);
    expect_ended_somehow(site, runs, 5);
    stop_site((void **)&site);
  }
}

static void stops_without_a_call(void **state) {
  struct site *site = *state;
  struct pools *pools = pools_create(&site->fixture->process, site->snapshot);
  pools_destroy(pools);
  pools_destroy(NULL);
}

/* ---- settling: all calls end, and the pools go on ---- */

struct notice {
  struct message message;
  int count;
};

static void take_notice(struct message *message, void *owner) {
  (void)owner;
  container_of(message, struct notice, message)->count++;
}

static void settle_pools(struct site *site) {
  struct notice notice = {.message = {.deliver = take_notice}};
  pools_settle(site->pools, &site->fixture->worker.inbox, &notice.message);
  turn_until(site->fixture, notice.count > 0);
  assert_int_equal(notice.count, 1);
  assert_false(pools_are_settling(site->pools));
}

static void settles_calls_running_and_queued(void **state) {
  struct site *site = *state;
  struct run runs[4];
  settle_pools(site); /* nothing to do */
  start_one_of_each(site, runs);
  settle_pools(site);
  assert_int_equal(counted(CLOSED), 2);
  assert_int_equal(counted(ENDED), 0);
  settle(site->fixture);
  for (int i = 0; i < 3; i++) expect_failed(&runs[i], "cancelled");
  expect_failed(&runs[3], "the call was not run: its pool stopped");
  int loads = counted(LOADS);
  expect_call(site, "eq(add(1, 2), 3)");
  assert_int_equal(counted(LOADS), loads);
}

static void settles_while_it_starts(void **state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    struct site *site;
    struct run runs[5];
    start_site((void **)&site);
    for (int j = 0; j < 5; j++) start_run(site->fixture, &runs[j], "add(1, 2)");
    for (int j = 0; j <= i % 3; j++) turn(site->fixture);
    pools_settle(site->pools, NULL, NULL);
    turn_until(site->fixture, !pools_are_settling(site->pools));
    expect_ended_somehow(site, runs, 5);
    expect_call(site, "eq(add(1, 2), 3)");
    stop_site((void **)&site);
  }
}

static void stops_while_it_settles(void **state) {
  struct site *site = *state;
  struct notice notice = {.message = {.deliver = take_notice}};
  struct run runs[4];
  start_one_of_each(site, runs);
  pools_settle(site->pools, &site->fixture->worker.inbox, &notice.message);
  destroy_pools(site);
  expect_ended_somehow(site, runs, 4);
  assert_int_equal(notice.count, 1);
}

/* ---- a crowd ---- */

enum { WORKERS = 4, FIBERS = 25, CALLS = 100 };

struct caller {
  struct site *site;
  struct fixture *fixture;
  uv_thread_t thread;
};

/* Each fiber has its own numbers, so that a result that went astray shows. */
static const char crowd_chunk[] = "for i = 1, 100 do\n"
                                  "  local n = math.random(1 << 40)\n"
                                  "  if i % 10 == 0 then\n"
                                  "    fails('misuse', 'error ' .. n, raise, 'error ' .. n)\n"
                                  "  elseif i % 10 == 5 then\n"
                                  "    local ok, err = pcall(timeout, 0.0001, echo, n)\n"
                                  "    if ok then eq(err, n) else eq(err.kind, 'timeout') end\n"
                                  "  else\n"
                                  "    eq(add(n, i), n + i)\n"
                                  "  end\n"
                                  "end";

static void call_often(void *context) {
  struct caller *caller = context;
  struct run runs[FIBERS];
  caller->fixture = fixture_start_with(pool_open_libs, 0, 0);
  load_app_into(caller->fixture, caller->site);
  for (int i = 0; i < FIBERS; i++) start_run(caller->fixture, &runs[i], crowd_chunk);
  for (int i = 0; i < FIBERS; i++) {
    turn_until(caller->fixture, runs[i].ended);
    expect_done(&runs[i]);
  }
  fixture_stop(caller->fixture);
}

static void takes_calls_of_many_workers(void **state) {
  struct site *site = *state;
  struct caller callers[WORKERS];
  assert_true(WORKERS * FIBERS * CALLS == 10000);
  pools_configure(site->pools, "default", 3, 1000);
  for (int i = 0; i < WORKERS; i++) {
    callers[i] = (struct caller){.site = site};
    assert_int_equal(uv_thread_create(&callers[i].thread, call_often, &callers[i]), 0);
  }
  for (int i = 0; i < WORKERS; i++) uv_thread_join(&callers[i].thread);
  assert_true(counted(LOADS) <= 1 + WORKERS + 3);
}

#define boxes_test(name) cmocka_unit_test_setup_teardown(name, start_boxes, stop_site)

int main(void) {
  const struct CMUnitTest tests[] = {
      narrow_test(leaves_the_queue_when_cancelled),
      narrow_test(ends_where_it_waits),
      narrow_test(ends_where_it_computes),
      narrow_test(ends_whatever_it_computes),
      narrow_test(ends_with_what_it_has_spawned),
      narrow_test(may_time_out),
      narrow_test(is_cancelled_with_the_others_of_a_gather),
      boxes_test(is_abandoned_with_its_box),
      boxes_test(may_be_awaited_later),
      site_test(stops_with_calls_running_and_queued),
      site_test(outlives_its_caller),
      cmocka_unit_test(stops_while_it_starts),
      site_test(stops_without_a_call),
      site_test(settles_calls_running_and_queued),
      cmocka_unit_test(settles_while_it_starts),
      site_test(stops_while_it_settles),
      site_test(takes_calls_of_many_workers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
