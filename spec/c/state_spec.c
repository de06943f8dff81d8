/* state_spec.c - a Lua state at its memory limit, and a worker that cannot be set up.
 *
 * Running out of memory is an error where it happens and nowhere else: the state goes on, fibers
 * end properly, and what cannot even be started is refused. Limits are set on the running state. */
#include "worker_fixture.h"

#include <dirent.h>
#include <sys/resource.h>

static void set_limit(struct fixture *fixture, size_t limit_bytes) {
  fixture->worker.memory.limit_bytes = limit_bytes;
}

/* limit(bytes): beyond what is in use; limit() takes it away */
static int limit(lua_State *L) {
  struct fixture *fixture = fixture_of(L);
  size_t extra = (size_t)luaL_optinteger(L, 1, 0);
  set_limit(fixture, lua_isnone(L, 1) ? 0 : fixture->worker.memory.used_bytes + extra);
  return 0;
}

static int start_limited(void **state) {
  start_fixture(state);
  struct fixture *fixture = *state;
  lua_register(fixture->worker.L, "limit", limit);
  return 0;
}

static int stop_limited(void **state) {
  struct fixture *fixture = *state;
  set_limit(fixture, 0);
  expect_chunk(fixture, "sleep(0) eq(coroutine.wrap(function() return 1 end)(), 1)");
  return stop_fixture(state);
}

/* ---- at the limit ---- */

static void counts_what_lua_counts(void **state) {
  struct fixture *fixture = *state;
  lua_State *L = fixture->worker.L;
  expect_chunk(fixture, "kept = {} for i = 1, 1000 do kept[i] = { tostring(i) } end");
  size_t bytes = lua_bytes(fixture);
  assert_int_equal(bytes, (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB));
  expect_chunk(fixture, "kept = nil");
  assert_true(lua_bytes(fixture) < bytes);
}

static const char fills[] = "local t = {}\n"
                            "for i = 1, math.huge do t[i] = { tostring(i) } end";

static void raises_and_goes_on(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  set_limit(fixture, lua_bytes(fixture) + 1000000);
  for (int i = 0; i < 3; i++) {
    start_run(fixture, &run, fills);
    turn_until(fixture, run.ended);
    expect_failed(&run, "not enough memory");
    expect_chunk(fixture, "local t = {} for i = 1, 1000 do t[i] = { i } end sleep(0)");
  }
}

static void may_be_caught(void **state) {
  struct fixture *fixture = *state;
  set_limit(fixture, lua_bytes(fixture) + 1000000);
  expect_chunk(fixture,
               "local function fill() local t = {} for i = 1, math.huge do t[i] = { i } end end\n"
               "for _ = 1, 3 do\n"
               "  fails('misuse', 'not enough memory', fill)\n"
               "  fails('misuse', 'not enough memory', coroutine.wrap(fill))\n"
               "  fails('misuse', 'not enough memory', timeout, 1000, fill)\n"
               "  fails('misuse', 'not enough memory', string.rep, 'x', 1 << 30)\n"
               "  local s <close> = scope(1000)\n"
               "  sleep(0)\n"
               "end\n");
}

/* Most of it is in use, the rest garbage: what counts is what a full collection leaves. */
static void collects_before_it_raises(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "kept = ('x'):rep(4000000) collectgarbage 'stop'");
  set_limit(fixture, lua_bytes(fixture) * 100 / 80);
  expect_chunk(fixture, "for i = 1, 20000 do local s = ('x'):rep(1000) .. i end\n"
                        "kept = nil collectgarbage 'restart'");
}

/* luaL_Buffer asks the allocator itself and would not collect. */
static void collects_for_string_buffers_too(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "kept = ('x'):rep(4000000) collectgarbage 'stop'");
  set_limit(fixture, lua_bytes(fixture) * 100 / 60);
  expect_chunk(fixture, "for i = 1, 10000 do\n"
                        "  local s = table.concat { ('y'):rep(i * 37 % 3000), i, {} and 'z' }\n"
                        "end\n"
                        "kept = nil collectgarbage 'restart'");
}

static void counts_as_full_above_95_percent(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "kept = ('x'):rep(4000000) collectgarbage 'stop'");
  size_t bytes = lua_bytes(fixture);
  set_limit(fixture, bytes * 100 / 97); /* 100 strings of 1,000 bytes would fit */
  expect_chunk(fixture, "local ok, err = pcall(function()\n"
                        "  for i = 1, 1000 do local s = ('x'):rep(1000) .. i end\n"
                        "end)\n"
                        "eq(ok, false) has(err, 'not enough memory')\n");
  set_limit(fixture, bytes * 100 / 90);
  expect_chunk(fixture, "for i = 1, 20000 do local s = ('x'):rep(1000) .. i end\n"
                        "kept = nil collectgarbage 'restart'");
}

/* ---- fibers at the limit ---- */

static void gives_no_fiber_without_memory(void **state) {
  struct fixture *fixture = *state;
  set_limit(fixture, 1);
  for (int i = 0; i < 5; i++) assert_null(fiber_create(&fixture->worker, &fixture_kind));
  assert_true(list_is_empty(&fixture->worker.fibers));
  set_limit(fixture, 0);
  expect_chunk(fixture, "sleep(0)");
  set_limit(fixture, 1);
  struct run run; /* its coroutine is there already */
  start_run(fixture, &run, "trace 'x'");
  turn(fixture);
  expect_failed(&run, "not enough memory");
  expect_trace(fixture, "");
}

static int fail_for_memory(lua_State *L) {
  fixture_run_failed(L);
  lua_newuserdatauv(L, 1 << 20, 0);
  return 0;
}

static void ends_once_when_its_end_needs_memory(void **state) {
  struct fixture *fixture = *state;
  static const struct fiber_kind kind = {fixture_run_chunk, fail_for_memory,
                                         .ended = fixture_run_ended};
  struct run run;
  make_run(fixture, &run, "limit(0) local t = {} for i = 1, 1000000 do t[i] = {} end")->kind =
      &kind;
  fiber_start(run.fiber, 0);
  turn_until(fixture, run.ended);
  expect_failed(&run, "not enough memory");
}

static int drop_arguments(lua_State *L) {
  lua_settop(L, 0);
  return 0;
}

/* The body's stack cannot grow for the trampoline: the coroutine dies, the fiber ends all the same.
 */
static void ends_once_when_it_cannot_start(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  static const struct fiber_kind kind = {drop_arguments, fixture_run_failed,
                                         .ended = fixture_run_ended};
  struct fiber *fiber = make_run(fixture, &run, "");
  fiber->kind = &kind;
  for (int i = 0; i < 30; i++) lua_pushinteger(fiber->co, i);
  fiber_start(fiber, 30);
  set_limit(fixture, 1);
  turn(fixture);
  set_limit(fixture, 0);
  assert_int_equal(run.ended, 1);
  assert_int_equal(run.failed, 0);
  assert_null(fiber->co);
  assert_true(list_is_empty(&fixture->worker.fibers));
  assert_int_equal(fixture->worker.idle_coroutines, 0);
}

/* At every point where memory may run out, for some kilobytes: nothing is lost, nothing is left. */
static void runs_out_of_memory_anywhere(void **state) {
  struct fixture *fixture = *state;
  unsigned failed = 0, done = 0;
  for (size_t extra = 0; extra < 12000; extra += 24) {
    struct run run;
    size_t before = lua_bytes(fixture);
    if (!make_run(fixture, &run,
                  "local c <close> = closing(function() sleep(0) end)\n"
                  "local a, b = gather(function() sleep(0) return 1 end, function()\n"
                  "  return timeout(10, function() sleep(0) return 2 end)\n"
                  "end)\n"
                  "local it = coroutine.wrap(function() sleep(0) coroutine.yield(a) end)\n"
                  "eq(it() + b, 3)\n"))
      continue;
    fiber_start(run.fiber, 0);
    set_limit(fixture, before + extra);
    turn_until(fixture, list_is_empty(&fixture->worker.fibers));
    set_limit(fixture, 0);
    assert_int_equal(run.ended, 1);
    if (run.failed && !strstr(run.error, "not enough memory")) fail_msg("%s", run.error);
    failed += run.failed != 0;
    done += run.failed == 0;
    free(run.traceback);
    assert_int_equal(fixture->worker.timers._count, 0);
  }
  assert_true(failed > 10);
  assert_true(done > 10);
}

/* ---- the word of each coroutine ---- */

static void marks_coroutines(void **state) {
  struct fixture *fixture = *state;
  lua_State *L = fixture->worker.L, *a = lua_newthread(L), *b = lua_newthread(a);
  state_set_waiting(a, true);
  state_set_failed(b);
  assert_true(state_is_waiting(a));
  assert_false(state_is_failed(a));
  assert_false(state_is_waiting(b));
  assert_true(state_is_failed(b));
  lua_State *c = lua_newthread(a);
  assert_false(state_is_waiting(c) || state_is_failed(c));
  assert_ptr_equal(worker_of(a), &fixture->worker);
  assert_ptr_equal(worker_of(b), &fixture->worker);
  state_set_waiting(a, false);
  assert_false(state_is_waiting(a));
  lua_settop(L, 0);
}

/* ---- setting up ---- */

static void does_not_fit_a_small_limit(void **state) {
  struct fixture *fixture = *state;
  struct settings small = fixture->settings;
  struct process process = fixture->process;
  process.settings = &small;
  for (size_t limit_bytes = 100; limit_bytes < 30000; limit_bytes += limit_bytes / 3) {
    struct worker worker = {.role = &fixture->role, .role_data = fixture, .process = &process};
    small.memory_limit_bytes = limit_bytes;
    assert_int_equal(worker_init(&worker), UV_ENOMEM);
    worker_finish(&worker);
    assert_int_equal(worker.memory.used_bytes, 0);
  }
  state_destroy(NULL);
}

static rlim_t count_descriptors(void) {
  rlim_t count = 0;
  DIR *dir = opendir("/proc/self/fd");
  while (readdir(dir)) count++;
  closedir(dir);
  return count - 3; /* ".", ".." and the directory itself */
}

/* A pool that cannot start a thread because too many connections are open must not end the process.
 * (libuv 1.44 itself loses its epoll descriptor in some of these cases.) */
static void survives_a_lack_of_descriptors(void **state) {
  struct fixture *fixture = *state;
  struct rlimit before, few;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  uv_err error = UV_EMFILE;
  for (rlim_t room = 0; error; room++) {
    few = (struct rlimit){.rlim_cur = count_descriptors() + room, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct worker worker = {
        .role = &fixture->role, .role_data = fixture, .process = &fixture->process};
    error = worker_init(&worker);
    worker_finish(&worker);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(error == UV_EMFILE || (error == 0 && room > 2));
  }
}

#define test(name) cmocka_unit_test_setup_teardown(name, start_limited, stop_limited)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(counts_what_lua_counts),
      test(raises_and_goes_on),
      test(may_be_caught),
      test(collects_before_it_raises),
      test(collects_for_string_buffers_too),
      test(counts_as_full_above_95_percent),
      test(gives_no_fiber_without_memory),
      test(ends_once_when_its_end_needs_memory),
      test(ends_once_when_it_cannot_start),
      test(runs_out_of_memory_anywhere),
      test(marks_coroutines),
      test(does_not_fit_a_small_limit),
      test(survives_a_lack_of_descriptors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
