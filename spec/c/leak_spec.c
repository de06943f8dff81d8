/* leak_spec.c - what is left of a hundred thousand tasks, of every kind, ended in every way:
 * nothing.
 *
 * Each kind is a chunk that makes and ends tasks. It runs once to warm up; after many more rounds
 * Lua's memory, the registry, the fibers and both clocks' timers are where they were. Memory of C
 * is the address sanitizer's business. */
#include "worker_fixture.h"

#include "base/limits.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SHARE = 4 };
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { SHARE = 4 };
#  else
enum { SHARE = 1 };
#  endif
#else
enum { SHARE = 1 };
#endif

enum { WARM_UP_ROUNDS_MIN = 2, COLLECTIONS = 12 };

/* The stacks of coroutines that are kept differ a little from round to round. */
enum { SLACK_BYTES = 2048, COROUTINE_SLACK_BYTES = 128 };

static const char helpers[] =
    "function many(n, make, ...)\n"
    "  local tasks = {}\n"
    "  for i = 1, n do tasks[i] = spawn(make, i, ...) end\n"
    "  return tasks\n"
    "end\n"
    "function end_all(tasks) for _, task in ipairs(tasks) do pcall(task.wait, task) end end\n"
    "function cancel_all(tasks) for _, task in ipairs(tasks) do task:cancel 'spec' end end\n"
    "function fail_when_cancelled() pcall(sleep, 1000) error {} end\n"
    "function slow_to_end()\n"
    "  local c <close> = closing(function() shield(checkpoint) end)\n"
    "  sleep(1000)\n"
    "end\n"
    "function fail() checkpoint() error {} end\n"
    "function suspended(fn)\n"
    "  local co = coroutine.create(fn)\n"
    "  assert(coroutine.resume(co))\n"
    "  return co\n"
    "end\n";

static const struct kind {
  const char *name;
  int tasks; /* that one round makes */
  int rounds;
  const char *chunk;
} kinds[] = {
    {"returned", 100, 100,
     "end_all(many(100, function(i) checkpoint() return i, {}, 'x' .. i end))"},
    {"never waited for", 100, 100, "many(100, function(i) return { i } end)"},
    {"raised", 100, 50,
     "end_all(many(50, function(i) error { i } end))\n"
     "end_all(many(50, function(i) checkpoint() error('x' .. i) end))"},
    {"cancelled before their start", 100, 100, "cancel_all(many(100, sleep, 1000))"},
    {"cancelled at a wait", 100, 50,
     "local tasks = many(100, function() sleep(1000) end)\n"
     "checkpoint() cancel_all(tasks) end_all(tasks)"},
    {"cancelled by themselves, and by their children", 100, 20,
     "for i = 1, 50 do\n"
     "  local task task = spawn(function()\n"
     "    if i % 2 == 0 then task:cancel() end\n"
     "    gather(function() task:cancel() sleep(1000) end)\n"
     "  end)\n"
     "  pcall(task.wait, task)\n"
     "end"},
    {"timed out at a wait", 100, 50, "end_all(many(100, function() timeout(0, sleep, 1000) end))"},
    {"timed out on a clock of their own", 100, 50,
     "end_all(many(100, function() use_clock() timeout(0, sleep, 1000) end))"},
    {"timed out while they computed", 4, 5,
     "end_all(many(2, function() timeout(0, function() while true do end end) end))\n"
     "pcall(timeout, 0, gather, function() while true do end end)"},
    {"waited for with a limit", 100, 50,
     "local tasks = many(100, function() sleep(1000) end)\n"
     "for _, task in ipairs(tasks) do pcall(task.wait, task, 0) end\n"
     "cancel_all(tasks)"},
    {"of gather", 100, 50,
     "for _ = 1, 10 do\n"
     "  gather(checkpoint, checkpoint, checkpoint)\n"
     "  pcall(gather, slow_to_end, fail, fail_when_cancelled, { sleep, 1000 })\n"
     "  gather { a = checkpoint, b = checkpoint, c = spawn(checkpoint) }\n"
     "end"},
    {"of settle, race and any", 130, 40,
     "for _ = 1, 10 do\n"
     "  settle(fail, checkpoint, error)\n"
     "  race(slow_to_end, checkpoint) any(fail, checkpoint, slow_to_end)\n"
     "  pcall(race, slow_to_end, fail, fail_when_cancelled)\n"
     "  pcall(any, fail, fail)\n"
     "end"},
    {"of map", 200, 50,
     "local list = {} for i = 1, 100 do list[i] = i end\n"
     "map(list, checkpoint, { limit = 3 })\n"
     "pcall(map, list, function(i) if i == 90 then fail() end checkpoint() end, { limit = 7 })\n"
     "pcall(map, setmetatable({}, { __len = function() return 9 end,\n"
     "  __index = function(_, i) return i > 5 and error {} or i end }), slow_to_end)"},
    {"of groups", 110, 50,
     "for _ = 1, 10 do\n"
     "  group(function(g) g:spawn(checkpoint) g:spawn(g.spawn, g, checkpoint) end)\n"
     "  pcall(group, function(g)\n"
     "    g:spawn(slow_to_end) g:spawn(fail) g:spawn(fail_when_cancelled) sleep(1000)\n"
     "  end)\n"
     "  pcall(group, function(g) g:spawn(fail_when_cancelled) checkpoint() error {} end)\n"
     "  group(function(g) g:spawn(sleep, 1000):cancel() kept = g end)\n"
     "  pcall(timeout, 0, group, function(g) g:spawn(fail_when_cancelled) end)\n"
     "  group(function(g) g:spawn(group, function(g) g:spawn(checkpoint) end) end)\n"
     "end\n"
     "kept = nil"},
    {"cancelled with their children", 120, 30,
     "local tasks = many(10, function()\n"
     "  gather(slow_to_end, { gather, fail_when_cancelled, slow_to_end },\n"
     "    { map, { 1, 2 }, fail_when_cancelled },\n"
     "    { group, function(g) g:spawn(slow_to_end) g:spawn(sleep, 1000) end })\n"
     "end)\n"
     "for _ = 1, 4 do checkpoint() end\n"
     "cancel_all(tasks) end_all(tasks)"},
    {"kept by their handles, then dropped", 300, 30,
     "kept = { many(100, checkpoint), many(100, fail), many(100, sleep, 1000) }\n"
     "checkpoint() cancel_all(kept[3])\n"
     "for _, tasks in ipairs(kept) do end_all(tasks) end\n"
     "for i = 1, 100 do\n"
     "  assert(kept[1][i].status == 'done' and kept[2][i].error and kept[3][i].traceback)\n"
     "  assert(kept[1][i].name and kept[1][i].args.n == 1)\n"
     "end\n"
     "kept = nil"},
    {"with coroutines that they leave suspended", 100, 20,
     "end_all(many(25, function(i)\n"
     "  local co = suspended(function() timeout(1000, coroutine.yield) end)\n"
     "  local other = suspended(function() shield(function() local s <close> = scope(1000)\n"
     "    coroutine.yield() end) end)\n"
     "  if i % 2 == 0 then coroutine.close(co) end\n"
     "  if i % 3 == 0 then error {} end\n"
     "  if i % 5 == 0 then cancel_me() sleep(0) end\n"
     "end))\n"
     "end_all(many(25, function(i)\n"
     "  local co = suspended(function()\n"
     "    group(function(g) g:spawn(slow_to_end) g:spawn(checkpoint) coroutine.yield() end)\n"
     "  end)\n"
     "  checkpoint()\n"
     "  if i % 2 == 0 then coroutine.close(co) end\n"
     "end))"},
    {"with coroutines that wait when they end", 100, 30,
     "local tasks = many(50, function() coroutine.wrap(coroutine.wrap(sleep))(1000) end)\n"
     "checkpoint() cancel_all(tasks) end_all(tasks)\n"
     "end_all(many(50, function() coroutine.running() for _ in coroutine.wrap(function()\n"
     "  coroutine.yield(1) checkpoint() error {} end) do end end))"},
    {"with an error raised again and again", 100, 10,
     "problem = problem or {}\n"
     "for _ = 1, 25 do\n"
     "  pcall(gather, function() error(problem) end, checkpoint)\n"
     "  pcall(group, function(g) g:spawn(fail_when_cancelled) checkpoint() error(problem) end)\n"
     "  pcall(timeout, 1000, function() error(problem) end)\n"
     "  pcall(gather, function() checkpoint() error(problem) end, fail_when_cancelled)\n"
     "end"},
};

/* Values in the registry, without the places that luaL_ref keeps for later. */
static size_t count_registry(struct fixture *fixture) {
  lua_State *L = fixture->worker.L;
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, LUA_REGISTRYINDEX); lua_pop(L, 1))
    if (lua_type(L, -1) != LUA_TNUMBER) count++;
  return count;
}

static size_t count_links(const struct list *head) {
  size_t count = 0;
  for (const struct list *link = head->next; link != head; link = link->next) count++;
  return count;
}

struct left {
  size_t lua_bytes, registry, idle_fibers, idle_coroutines;
};

/* Each collection frees half of the call records that a coroutine has to spare. */
static void collect(struct fixture *fixture) {
  for (int i = 0; i < COLLECTIONS; i++) lua_gc(fixture->worker.L, LUA_GCCOLLECT);
}

/* Runs rounds of a kind and looks at what is left when all has ended and been collected. */
static struct left run_rounds(struct fixture *fixture, const struct kind *kind, int rounds) {
  struct run run;
  for (int i = 0; i < rounds; i++) {
    start_run(fixture, &run, kind->chunk);
    turn_until(fixture, run.ended);
    expect_done(&run);
    while (!list_is_empty(&fixture->worker.fibers)) {
      /* some are children of groups that nobody can go on with */
      if (list_is_empty(&fixture->worker.ready)) lua_gc(fixture->worker.L, LUA_GCCOLLECT);
      turn(fixture);
    }
  }
  collect(fixture);
  assert_int_equal(fixture->worker.timers._count, 0);
  assert_int_equal(fixture->clock._count, 0);
  assert_true(list_is_empty(&fixture->worker.ready));
  return (struct left){.lua_bytes = fixture->worker.memory.used_bytes,
                       .registry = count_registry(fixture),
                       .idle_fibers = count_links(&fixture->worker.idle_fibers),
                       .idle_coroutines = fixture->worker.idle_coroutines};
}

static void expect_nothing_left(const struct kind *kind, int tasks, struct left before,
                                struct left after) {
  print_message("%d %s: %zu bytes, %zu in the registry, %zu idle fibers\n", tasks, kind->name,
                after.lua_bytes, after.registry, after.idle_fibers);
  size_t slack = SLACK_BYTES + COROUTINE_SLACK_BYTES * after.idle_coroutines;
  if (after.lua_bytes > before.lua_bytes + slack) fail_msg("%zu bytes before", before.lua_bytes);
  assert_true(after.registry <= before.registry);
  assert_int_equal(after.idle_fibers, before.idle_fibers);
  assert_true(after.idle_coroutines <= before.idle_coroutines);
}

static void leaves_nothing(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, helpers);
  int tasks = 0;
  for (size_t i = 0; i < array_len(kinds); i++) {
    const struct kind *kind = &kinds[i];
    int rounds = kind->rounds / SHARE + 1, warm_up = rounds / 2 + WARM_UP_ROUNDS_MIN;
    struct left before = run_rounds(fixture, kind, warm_up);
    struct left after = run_rounds(fixture, kind, rounds);
    expect_nothing_left(kind, kind->tasks * rounds, before, after);
    tasks += kind->tasks * (warm_up + rounds);
  }
  assert_true(tasks >= 100000 / SHARE);
}

int main(void) {
  const struct CMUnitTest tests[] = {fixture_test(leaves_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
