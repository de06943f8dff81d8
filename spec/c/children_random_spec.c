/* children_random_spec.c - random trees of gather, settle, race, any, map, group, timeout and
 * shield, with cancels from all sides.
 *
 * Whatever happens in such a tree, no parent has its result or its error before all its children
 * have ended, everything ends, and nothing stays registered. A seed that fails is printed; on the
 * manual clock it fails again. Nobody is interrupted on that: it could hit the close handlers by
 * which children tell of their end. */
#include "worker_fixture.h"

enum { SEEDS = 300 };

static const char program[] =
    "local random = math.random\n"
    "local handles = {}\n"
    /* fn as a child of a parent that knows which run; an interruption may come between any two
       steps */
    "local function child(parent, fn)\n"
    "  return function(...)\n"
    "    local this = {}\n"
    "    local ends <close> = closing(function() parent[this] = nil end)\n"
    "    parent[this] = true\n"
    "    local slowly <close> = random(4) == 1 and closing(function() shield(checkpoint) end) or "
    "nil\n"
    "    return fn(...)\n"
    "  end\n"
    "end\n"
    "local leaves = {\n"
    "  function() return 1 end, function() checkpoint() return 1 end,\n"
    "  function() sleep(random(3) / 1000) end, function() sleep(1000) end,\n"
    "  function() error {} end, function() checkpoint() error('text', 0) end, function() error() "
    "end,\n"
    "  function() pcall(sleep, 1000) error {} end,\n"
    "  function() pcall(sleep, 1000) pcall(sleep, 1000) checkpoint() end,\n"
    "  function() shield(sleep, random(3) / 1000) end,\n"
    "  function() local task = handles[random(#handles)] if task then task:cancel() end end,\n"
    "  function() local task = handles[random(#handles)] pcall(task.wait, task, 0) end,\n"
    "}\n"
    "local grow\n"
    "local function leaf() return leaves[random(#leaves)]() end\n"
    "local function any_child(parent, depth)\n"
    "  local fn = child(parent, grow)\n"
    "  if random(8) == 1 then return { fn, depth - 1 } end\n"
    "  return function() return fn(depth - 1) end\n"
    "end\n"
    "local function children(parent, depth)\n"
    "  local list = {}\n"
    "  for i = 1, random(3) do\n"
    "    list[random(10) == 1 and 'key' .. i or #list + 1] = any_child(parent, depth)\n"
    "  end\n"
    "  return list\n"
    "end\n"
    "local function grow_group(parent, depth)\n"
    "  return group(function(g)\n"
    "    for _ = 1, random(3) do\n"
    "      handles[#handles + 1] = g:spawn(child(parent, grow), depth - 1)\n"
    "      if random(3) == 1 then g:spawn(child(parent, function()\n"
    "        pcall(g.spawn, g, child(parent, grow), depth - 1) leaf() end)) end\n"
    "      if random(3) == 1 then checkpoint() end\n"
    "    end\n"
    "    if random(2) == 1 then return leaf() end\n"
    "    if random(3) == 1 then coroutine.wrap(function() leaf() end)() end\n"
    "  end)\n"
    "end\n"
    "local nodes = {\n"
    "  function(p, d) return gather(children(p, d)) end,\n"
    "  function(p, d) return settle(children(p, d)) end,\n"
    "  function(p, d) return race(children(p, d)) end,\n"
    "  function(p, d) return any(children(p, d)) end,\n"
    "  function(p, d) return map({ 1, 2, 3, 4 }, child(p, function() return grow(d - 1) end),\n"
    "    { limit = random(4) }) end,\n"
    "  grow_group, grow_group,\n"
    "  function(p, d) return timeout(random(0, 4) / 1000, grow, d - 1) end,\n"
    "  function(p, d) return timeout(1000, grow, d - 1) end,\n"
    "  function(p, d) return timeout(0.001, gather, any_child(p, d), any_child(p, d)) end,\n"
    "  function(p, d) return shield(timeout, 0.002, grow, d - 1) end,\n"
    "  function(p, d) return coroutine.wrap(grow)(d - 1) end,\n"
    "  function(p, d) return pcall(grow, d - 1) end,\n"
    "}\n"
    "function grow(depth)\n"
    "  if depth <= 0 or random(4) == 1 then return leaf() end\n"
    "  local parent = {}\n"
    "  local results = table.pack(pcall(nodes[random(#nodes)], parent, depth))\n"
    "  if next(parent) then broken = true end\n"
    "  if not results[1] then error(results[2], 0) end\n"
    "  return table.unpack(results, 2, results.n)\n"
    "end\n"
    "return function(seed)\n"
    "  math.randomseed(seed) use_clock()\n"
    "  handles = {}\n"
    "  for i = 1, 4 do\n"
    "    handles[i] = spawn(function() return timeout(random(4) / 1000, grow, 4) end)\n"
    "  end\n"
    "  for i = 1, random(4) do checkpoint() end\n"
    "  handles[random(4)]:cancel 'spec'\n"
    "  settle(table.unpack(handles, 1, 4))\n"
    "end\n";

static void ends_all_children_before_their_parents(void **state) {
  struct fixture *fixture = *state;
  lua_State *L = fixture->worker.L;
  assert_int_equal(luaL_dostring(L, program), LUA_OK);
  lua_setglobal(L, "run_seed");
  for (int seed = 1; seed <= SEEDS; seed++) {
    char chunk[64];
    struct run run;
    snprintf(chunk, sizeof chunk, "run_seed(%d) eq(broken, nil)", seed);
    start_run(fixture, &run, chunk);
    uint64_t limit_ns = uv_hrtime() + LIMIT_MS * NS_PER_MS;
    while (!list_is_empty(&fixture->worker.fibers)) {
      if (uv_hrtime() > limit_ns) fail_msg("seed %d does not end", seed);
      advance(fixture, NS_PER_MS / 2);
    }
    if (run.failed) print_error("seed %d\n", seed);
    expect_done(&run);
    assert_int_equal(fixture->clock._count, 0);
    assert_int_equal(fixture->worker.timers._count, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {fixture_test(ends_all_children_before_their_parents)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
