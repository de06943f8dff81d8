-- scopes.lua - cases of cancellation, timeouts and shields, by name.
--
-- As waits.lua, which has the simple ones: run in a spec's fiber, a plain handler and a thread of
-- the pool.

local assert = require "luassert"
local async = require "perilune.async"

local expect = require(((...):gsub("%w+$", "expect")))

local LONG, SHORT = expect.LONG, expect.SHORT
local closing, compute, compute_forever = expect.closing, expect.compute, expect.compute_forever
local echo, error_of, fails_with = expect.echo, expect.error_of, expect.fails_with
local misuse, sleep_long, until_true = expect.misuse, expect.sleep_long, expect.until_true

local cases = {}

--- A running task of fn that has got to its first wait.
local function start(fn, ...)
  local task = async.spawn(fn, ...)
  async.checkpoint()
  assert.equal("running", task.status)
  return task
end

-- --- cancel -------------------------------------------------------------------------------------

cases["every wait in a cancelled scope raises, through any depth of calls"] = function()
  local seen = 0
  local function deep(depth, fn)
    if depth == 0 then return fn() end
    local ok, err = pcall(function()
      local good, result = xpcall(coroutine.wrap(deep), function(e) return e end, depth - 1, fn)
      if not good then error(result) end
    end)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
    seen = seen + 1
    return fn()
  end
  local waits = {
    sleep_long, async.checkpoint, function() async.gather(echo) end, function() async.gather() end,
    function() async.settle { echo } end, function() async.race(echo) end,
    function() async.any(echo) end, function() async.map({}, echo) end,
    function() async.group(function() end) end, function() async.spawn(echo):wait() end,
    function() async.timeout(LONG, async.sleep, 0) end,
  }
  local task = start(function()
    for _, wait in ipairs(waits) do
      fails_with("cancelled", deep, 5, wait)
    end
    return "ran to its end"
  end)
  task:cancel()
  assert.equal("ran to its end", task:wait())
  assert.equal(5 * #waits, seen)
  assert.equal("done", task.status)
end

cases["a task is cancelled before its start: it never runs, and tells the reason"] = function()
  local ran = false
  local task = async.spawn(function() ran = true end)
  task:cancel "not needed"
  assert.equal("waiting", task.status)
  assert.equal("cancelled: not needed", tostring(fails_with("cancelled", task.wait, task)))
  assert.is_false(ran)
  assert.equal("cancelled", task.status)
  assert.equal("cancelled", task.error.kind)
  assert.equal("cancelled: not needed", tostring(task.error))
  assert.is_nil(task.results)
  local without = async.spawn(echo)
  without:cancel()
  assert.equal("cancelled", tostring(error_of(without.wait, without)))
end

cases["a task is cancelled twice: the first reason stays"] = function()
  local task = start(function()
    pcall(sleep_long)
    sleep_long()
  end)
  task:cancel "first"
  task:cancel "second"
  async.checkpoint()
  task:cancel "third"
  assert.equal("cancelled: first", tostring(fails_with("cancelled", task.wait, task)))
end

cases["a task is cancelled after its end: nothing happens"] = function()
  local done, failed = async.spawn(echo, 1), async.spawn(error, "x", 0)
  async.settle(done, failed)
  for _, task in ipairs { done, failed } do task:cancel "late" end
  assert.equal(1, done:wait())
  assert.equal("done", done.status)
  assert.is_nil(done.error)
  assert.equal("x", error_of(failed.wait, failed))
  assert.equal("failed", failed.status)
end

cases["a task that ends in peace though it was cancelled is done"] = function()
  local task = start(function()
    fails_with("cancelled", sleep_long)
    return "peace"
  end)
  task:cancel()
  assert.equal("peace", task:wait())
  assert.equal("done", task.status)
end

cases["a task that fails while it is cancelled has failed"] = function()
  local task = start(expect.fail_when_cancelled "own")
  task:cancel()
  assert.equal("own", error_of(task.wait, task))
  assert.equal("failed", task.status)
end

cases["a task cancels itself: its next wait raises"] = function()
  local went_on, task = false, nil
  task = async.spawn(function()
    task:cancel "myself"
    went_on = true
    sleep_long()
  end)
  assert.equal("cancelled: myself", tostring(fails_with("cancelled", task.wait, task)))
  assert.is_true(went_on)
end

cases["a child cancels its parent: parent and child end at their next waits"] = function()
  local parent, seen
  parent = async.spawn(function()
    async.gather(function()
      parent:cancel "by its child"
      seen = fails_with("cancelled", sleep_long)
      error(seen)
    end)
  end)
  assert.equal("cancelled: by its child", tostring(fails_with("cancelled", parent.wait, parent)))
  assert.equal("cancelled: the task that waits for it was cancelled", tostring(seen))
end

cases["of a result and a cancel in one turn the result is had, the next wait raises"] = function()
  local gate = async.spawn(sleep_long)
  local got
  local task = start(function()
    got = select(2, pcall(gate.wait, gate))
    sleep_long()
  end)
  async.checkpoint()
  gate:cancel "the result"
  async.checkpoint() -- the gate has ended: its waiter is ready
  task:cancel "the cancel"
  assert.equal("cancelled: the cancel", tostring(fails_with("cancelled", task.wait, task)))
  assert.equal("cancelled: the result", tostring(got))
end

cases["cancel says what it cannot take"] = function()
  local task = async.spawn(echo)
  misuse("use a colon (task:cancel)", task.cancel)
  misuse("use a colon (task:wait)", task.wait, {})
  misuse("bad argument", task.cancel, task, {})
  task:wait()
end

-- --- close handlers -----------------------------------------------------------------------------

-- Each way runs a body and ends it; gives the error that was seen outside, if any.
local ways = {
  ["return"] = function(body) return body(function() end) end,
  error = function(body) return error_of(body, function() error "own" end) end,
  ["error after a wait"] = function(body)
    return error_of(body, function()
      async.checkpoint()
      error "own"
    end)
  end,
  ["cancel at a wait"] = function(body)
    local task = start(body, sleep_long)
    task:cancel()
    return fails_with("cancelled", task.wait, task)
  end,
  ["timeout at a wait"] = function(body)
    return fails_with("timeout", async.timeout, SHORT, body, sleep_long)
  end,
  ["timeout while computing"] = function(body)
    return fails_with("timeout", async.timeout, SHORT, body, compute_forever)
  end,
  ["timeout around a gather while computing"] = function(body)
    return fails_with("timeout", async.timeout, SHORT, async.gather, { body, compute_forever })
  end,
  ["a sibling's error in a group"] = function(body)
    return error_of(async.group, function(group)
      group:spawn(body, sleep_long)
      group:spawn(expect.fail, "sibling")
    end)
  end,
  ["a child's error in the group's function"] = function(body)
    return error_of(async.group, function(group)
      group:spawn(expect.fail, "child")
      body(sleep_long)
    end)
  end,
  ["a sibling's end in a race"] = function(body)
    async.race(function() body(sleep_long) end, echo)
  end,
}
local in_peace = { ["return"] = true, error = true, ["error after a wait"] = true }

for way, run in pairs(ways) do
  cases[way .. ": variables are closed once, in order, with their waits shielded"] = function()
    local closed, given, free = {}, {}, nil
    run(function(last)
      for i = 1, 3 do
        local _ <close> = closing(function() closed[#closed + 1] = i end)
      end
      local _ <close> = closing(function(_, err)
        given[#given + 1] = err
        closed[#closed + 1] = "last"
      end)
      local _ <close> = closing(function()
        async.shield(async.sleep, SHORT)
        assert.same({ 1, 2 }, { async.shield(async.gather, { echo, 1 }, { echo, 2 }) })
        closed[#closed + 1] = "shielded"
      end)
      local _ <close> = closing(function()
        local ok, err = pcall(async.sleep, 0)
        free = ok or err.kind
        closed[#closed + 1] = "first"
      end)
      last()
    end)
    assert.same({ 1, 2, 3, "first", "shielded", "last" }, closed)
    assert.equal(in_peace[way] or "cancelled", free)
    if way ~= "return" then assert.equal(1, #given) end
    async.sleep(0)
  end
end

cases["a long shield in a close handler leaves the others their grace"] = function()
  local function body(ended, last)
    local _ <close> = closing(function()
      compute(0.1)
      ended[#ended + 1] = "computed"
    end)
    local _ <close> = closing(function()
      async.shield(async.sleep, 1.1) -- more than the grace
      ended[#ended + 1] = "waited"
    end)
    last()
  end
  local expected = { "waited", "computed" }
  local ends = { {}, {}, {} }
  async.gather(
    function()
      local task = start(body, ends[1], sleep_long)
      task:cancel()
      fails_with("cancelled", task.wait, task)
    end,
    function()
      fails_with("timeout", async.timeout, SHORT, body, ends[2], compute_forever)
    end,
    function()
      local task = start(function()
        local _ <close> = closing(function()
          compute(0.1)
          ends[3][#ends[3] + 1] = "computed"
        end)
        async.gather(function()
          local _ <close> = closing(function()
            async.shield(async.sleep, 1.1)
            ends[3][#ends[3] + 1] = "waited"
          end)
          sleep_long()
        end)
      end)
      async.checkpoint()
      task:cancel()
      fails_with("cancelled", task.wait, task)
    end)
  assert.same({ expected, expected, expected }, ends)
end

-- --- timeouts -----------------------------------------------------------------------------------

cases["timeouts nest, each is reported by its own number"] = function()
  local inner
  local outer = fails_with("timeout", async.timeout, 0.03, function()
    inner = fails_with("timeout", async.timeout, SHORT, sleep_long)
    sleep_long()
  end)
  assert.equal("timeout after 0.02 s", tostring(inner))
  assert.equal("timeout after 0.03 s", tostring(outer))
  outer = fails_with("timeout", async.timeout, SHORT, function()
    inner = fails_with("cancelled", async.timeout, LONG, sleep_long)
    error(inner)
  end)
  assert.equal("timeout after 0.02 s", tostring(outer))
  assert.equal("cancelled: its time is over", tostring(inner))
end

cases["the error of an inner timeout may end the outer function, in time"] = function()
  local err = fails_with("timeout", async.timeout, LONG, async.timeout, SHORT, sleep_long)
  assert.equal("timeout after 0.02 s", tostring(err))
  err = fails_with("timeout", async.timeout, LONG, async.timeout, SHORT, compute_forever)
  assert.equal("timeout after 0.02 s", tostring(err))
end

cases["a timeout of nothing or less raises at the next wait, or at the end"] = function()
  local done = async.spawn(echo)
  done:wait()
  local waits = {
    async.checkpoint, function() async.sleep(0) end, function() done:wait() end,
    function() async.gather(done, done) end, function() async.gather() end,
    function() async.settle(done) end, function() async.race(done) end,
    function() async.any { done } end, function() async.map({}, echo) end,
    function() async.group(function() end) end, function() async.timeout(LONG, async.sleep, 0) end,
    function() end,
  }
  for _, seconds in ipairs { 0, -1, -math.huge } do
    for i, wait in ipairs(waits) do
      local before, kind
      local err = fails_with("timeout", async.timeout, seconds, function()
        before = true
        local ok, inner = pcall(wait)
        kind = ok or expect.kind_of(inner)
        return "late"
      end)
      assert.is_true(before)
      assert.equal(i == #waits or "cancelled", kind)
      assert.is_truthy(tostring(err):find("timeout after", 1, true))
    end
  end
end

cases["a timeout is noticed by operations that never wait"] = function()
  local done = async.spawn(echo)
  done:wait()
  local rounds = 0
  fails_with("timeout", async.timeout, SHORT, function()
    while rounds < 1e9 do
      done:wait()
      rounds = rounds + 1
    end
  end)
  assert.is_true(rounds > 0)
end

cases["a late error of the function is not lost in its timeout"] = function()
  local err = fails_with("timeout", async.timeout, SHORT, function()
    pcall(sleep_long)
    error("late", 0)
  end)
  assert.same({ "late" }, err.others)
end

cases["a timeout that no time is left for says so, and where it was"] = function()
  local function culprit() sleep_long() end
  local task = async.spawn(function()
    async.timeout(SHORT, function() culprit() end)
    return 1
  end)
  fails_with("timeout", task.wait, task)
  assert.equal("failed", task.status)
  assert.is_truthy(task.traceback:find "culprit.*called from:.*async.timeout", task.traceback)
end

-- --- shields ------------------------------------------------------------------------------------

cases["a shield gives results, and errors by identity"] = function()
  assert.same({ n = 4, 1, nil, 3, nil }, table.pack(async.shield(echo, 1, nil, 3, nil)))
  assert.same({ n = 0 }, table.pack(async.shield(function() end)))
  local problem = {}
  assert.equal(problem, error_of(async.shield, expect.fail, problem))
  misuse("async.shield takes a function and its arguments; the function is a number",
    async.shield, 7)
end

cases["a shield inside a timeout ends in peace, then the timeout is raised"] = function()
  local seen
  local err = fails_with("timeout", async.timeout, SHORT, function()
    seen = async.shield(function()
      async.sleep(2 * SHORT)
      return "peace"
    end)
    sleep_long()
  end)
  assert.equal("peace", seen)
  assert.equal("timeout after 0.02 s", tostring(err))
  fails_with("timeout", async.timeout, SHORT, async.shield, async.sleep, 2 * SHORT)
end

cases["a shield keeps a cancel back until the first wait after it"] = function()
  local order = {}
  local task = start(function()
    async.shield(function()
      async.sleep(SHORT)
      order[#order + 1] = "shielded"
    end)
    order[#order + 1] = "after"
    fails_with("cancelled", async.checkpoint)
    order[#order + 1] = "cancelled"
    async.shield(async.sleep, 0)
    order[#order + 1] = "shielded again"
    sleep_long()
  end)
  task:cancel "enough"
  assert.equal("cancelled: enough", tostring(fails_with("cancelled", task.wait, task)))
  assert.same({ "shielded", "after", "cancelled", "shielded again" }, order)
end

cases["a timeout inside a shield inside a cancelled scope works as ever"] = function()
  local task = start(function()
    pcall(sleep_long)
    return async.shield(function()
      assert.equal("in time", async.timeout(LONG, function() async.sleep(0) return "in time" end))
      local err = fails_with("timeout", async.timeout, SHORT, sleep_long)
      fails_with("timeout", async.timeout, SHORT, compute_forever)
      async.sleep(0)
      return tostring(err)
    end)
  end)
  task:cancel()
  assert.equal("timeout after 0.02 s", task:wait())
end

cases["a shield does not keep back what is cancelled inside"] = function()
  assert.equal("child", error_of(async.shield, async.gather, sleep_long, { expect.fail, "child" }))
  local task
  task = start(async.shield, async.group, function(group)
    group:spawn(function()
      async.shield(async.sleep, SHORT)
      error("child", 0)
    end)
    sleep_long()
  end)
  task:cancel()
  assert.equal("child", error_of(task.wait, task))
  assert.equal("failed", task.status)
end

-- --- timeouts and children ----------------------------------------------------------------------

local function group_of(child)
  async.group(function(group)
    group:spawn(child)
    sleep_long()
  end)
end

local function group_waiting_for(child)
  async.group(function(group) group:spawn(child) end)
end

cases["a timeout ends what its children compute, whatever started them"] = function()
  local function stubborn()
    while true do pcall(compute_forever) end
  end
  local calls = {
    { async.gather, stubborn, sleep_long }, { async.settle, sleep_long, stubborn },
    { async.race, stubborn }, { async.any, stubborn }, { async.map, { 1, 2 }, stubborn },
    { group_of, stubborn }, { group_waiting_for, stubborn },
    { async.gather, function() group_of(function() async.gather(stubborn) end) end },
    { async.shield, async.timeout, SHORT, async.gather, stubborn },
    { coroutine.wrap(async.gather), stubborn },
  }
  for _, call in ipairs(calls) do
    fails_with("timeout", async.timeout, SHORT, table.unpack(call))
    assert.equal("fine", async.gather(function() return pcall(error) and "" or "fine" end))
  end
end

cases["a timeout leaves to a child's own shield what it computes"] = function()
  local done = 0
  local function shielded()
    async.shield(function()
      compute(2 * SHORT)
      done = done + 1
    end)
    compute_forever()
  end
  fails_with("timeout", async.timeout, SHORT, async.gather, shielded)
  fails_with("timeout", async.timeout, SHORT, async.shield, async.gather, function()
    compute(2 * SHORT)
    done = done + 1
  end)
  assert.equal(2, done)
end

cases["a timeout that is over does not reach a group it was opened in"] = function()
  local open, done = false, false
  local step = coroutine.wrap(function()
    async.group(function(group)
      group:spawn(function()
        until_true(function() return open end)
        compute(SHORT)
        done = true
      end)
      coroutine.yield()
    end)
  end)
  async.timeout(SHORT, step)
  async.sleep(2 * SHORT)
  open = true
  step()
  assert.is_true(done)
end

cases["a timeout inside a group's function does not reach what it spawned"] = function()
  local done = false
  async.group(function(group)
    pcall(async.timeout, SHORT, function()
      group:spawn(function()
        compute(2 * SHORT)
        done = true
      end)
      sleep_long()
    end)
  end)
  assert.is_true(done)
end

cases["a child that computes on is ended when its parent was cancelled meanwhile"] = function()
  local open = false
  local parent = start(async.gather, function()
    until_true(function() return open end)
    compute_forever()
  end)
  async.checkpoint()
  open = true
  parent:cancel "enough" -- the child comes first: the parent cannot cancel it
  assert.equal("cancelled: enough", tostring(fails_with("cancelled", parent.wait, parent)))
end

return cases
