/* async_memory_spec.c - perilune.async where memory runs out, at every single allocation.
 *
 * Each case is run with ever more allocations granted: then one fails, or all do for a while.
 * Whatever is raised, every fiber ends, nothing stays registered and the state works as before. */
#include "worker_fixture.h"

enum { CASES = 13, TURNS = 20 };

struct heap {
  lua_Alloc allocate;
  void *context;
  long grants;   /* allocations until the next one fails; negative: none does */
  long failures; /* how many fail in a row; an attempt is made twice, with a collection between */
  bool has_failed;
};

static void *allocate(void *context, void *block, size_t old_size, size_t new_size) {
  struct heap *heap = context;
  bool grows = new_size > 0 && (!block || new_size > old_size);
  if (grows && heap->grants == 0 && heap->failures > 0) {
    heap->has_failed = true;
    heap->failures--;
    return NULL;
  }
  if (grows && heap->grants > 0) heap->grants--;
  return heap->allocate(heap->context, block, old_size, new_size);
}

/* `left` says that a child was still running when its parent had its result or error. */
static const char cases[] =
    "running, left = 0, false\n"
    "guard = closing(function() running = running - 1 end)\n"
    "function child(fn)\n"
    "  return function(...)\n"
    "    running = running + 1\n"
    "    local ends <close> = guard\n"
    "    return fn(...)\n"
    "  end\n"
    "end\n"
    "one = child(function(x) checkpoint() return x end)\n"
    "fail = child(function() checkpoint() error {} end)\n"
    "fail_late = child(function() pcall(sleep, 1000) error {} end)\n"
    "slow = child(function()\n"
    "  local c <close> = closing(function() shield(checkpoint) end) sleep(1000)\n"
    "end)\n"
    "cases = {\n"
    "  function() return gather(one, { one, 1 }, one) end,\n"
    "  function() return gather(slow, fail, fail_late) end,\n"
    "  function() return settle { a = fail, b = one, c = { race, one, fail } } end,\n"
    "  function() return any(fail, slow, one) end,\n"
    "  function() return map({ 1, 2, 3 }, one, { limit = 2 }) end,\n"
    "  function() return map({ 1, 2, 3, 4 }, fail, { limit = 3 }) end,\n"
    "  function() return group(function(g)\n"
    "    g:spawn(one) return g:spawn(group, function(h) h:spawn(one) end):wait()\n"
    "  end) end,\n"
    "  function() return group(function(g)\n"
    "    g:spawn(fail) g:spawn(fail_late) g:spawn(slow) sleep(1000)\n"
    "  end) end,\n"
    "  function() return timeout(0, gather, slow, fail_late) end,\n"
    "  function() return group(function(g) g:spawn(slow) one() error {} end) end,\n"
    "  function() return timeout(0, group, function(g) g:spawn(slow) end) end,\n"
    "  function() cancel_me 'spec' pcall(gather, one) return group(one) end,\n"
    "  function()\n"
    "    local step = coroutine.wrap(function()\n"
    "      timeout(1000, group, function(g) g:spawn(checkpoint) coroutine.yield(1) end)\n"
    "    end)\n"
    "    step()\n"
    "  end,\n"
    "}\n"
    "function run(i)\n"
    "  running = 0 pcall(cases[i])\n"
    "  if running ~= 0 then left = true end\n"
    "end\n";

static void run_case(struct fixture *fixture, struct heap *heap, long grants, long failures,
                     const char *chunk) {
  struct run run;
  start_run(fixture, &run, chunk);
  lua_gc(fixture->worker.L, LUA_GCCOLLECT);
  heap->grants = grants;
  heap->failures = failures;
  heap->has_failed = false;
  for (int i = 0; i < TURNS && !list_is_empty(&fixture->worker.fibers); i++) turn(fixture);
  heap->grants = -1;
  worker_cancel_all(&fixture->worker, "spec"); /* what waits for a child that has failed so */
  uint64_t limit_ns = uv_hrtime() + LIMIT_MS * NS_PER_MS;
  while (!list_is_empty(&fixture->worker.fibers)) {
    assert_true(uv_hrtime() < limit_ns);
    lua_gc(fixture->worker.L, LUA_GCCOLLECT);
    turn(fixture);
  }
  free(run.traceback);
  assert_int_equal(run.ended, 1);
  lua_gc(fixture->worker.L, LUA_GCCOLLECT);
  assert_int_equal(fixture->worker.timers._count, 0);
}

static const char *const check =
    "eq(left, false) left = false\n"
    "local a, b = gather({ function(x) checkpoint() return x end, 1 },\n"
    "  function() return group(function(g) return 2 end) end)\n"
    "eq(a, 1) eq(b, 2) fails('timeout', '', timeout, 0, sleep, 9)";

static void survive(void **state, long failures) {
  struct fixture *fixture = *state;
  lua_State *L = fixture->worker.L;
  expect_chunk(fixture, cases);
  static struct heap heap;
  heap = (struct heap){.grants = -1};
  heap.allocate = lua_getallocf(L, &heap.context);
  lua_setallocf(L, allocate, &heap);
  for (int i = 1; i <= CASES; i++) {
    char chunk[64];
    snprintf(chunk, sizeof chunk, "return run(%d)", i);
    long grants = 0;
    do {
      run_case(fixture, &heap, grants++, failures, chunk);
    } while (heap.has_failed);
    expect_chunk(fixture, check);
    assert_true(grants > 10);
  }
  lua_setallocf(L, heap.allocate, heap.context);
}

static void survives_one_refusal(void **state) {
  survive(state, 2);
}

static void survives_many_refusals(void **state) {
  survive(state, 50);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(survives_one_refusal),
      fixture_test(survives_many_refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
