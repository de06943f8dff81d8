-- groups.lua - cases of async.group, by name.
--
-- As children.lua: run in a spec's fiber, a plain handler and a thread of the pool.

local assert = require "luassert"
local async = require "perilune.async"

local expect = require(((...):gsub("%w+$", "expect")))

local SHORT = expect.SHORT
local closing, error_of, fail = expect.closing, expect.error_of, expect.fail
local fail_when_cancelled, fails_with = expect.fail_when_cancelled, expect.fails_with
local misuse, sleep_long, slow_to_end = expect.misuse, expect.sleep_long, expect.slow_to_end
local until_true = expect.until_true

local cases = {}

-- --- the good end -------------------------------------------------------------------------------

cases["gives the results of its function once every child has ended"] = function()
  local ended = {}
  local results = table.pack(async.group(function(group)
    for i = 1, 3 do
      group:spawn(function(...)
        async.sleep(SHORT)
        ended[#ended + 1] = select("#", ...) .. select(2, ...)
      end, nil, i, nil)
    end
    return 1, nil, "x", nil
  end))
  assert.same({ n = 4, 1, nil, "x", nil }, results)
  table.sort(ended)
  assert.same({ "31", "32", "33" }, ended)
  assert.same({ n = 0 }, table.pack(async.group(function() end)))
end

cases["keeps many results of its function while it waits"] = function()
  local list = {}
  for i = 1, 10000 do list[i] = i end
  local results = table.pack(async.group(function(group)
    group:spawn(async.checkpoint)
    return table.unpack(list)
  end))
  assert.equal(10000, results.n)
  assert.equal(10000, results[10000])
end

cases["gives tasks, which can be waited for inside and looked at outside"] = function()
  local task
  local result = async.group(function(group)
    task = group:spawn(function(x) async.checkpoint() return x, "second" end, "first")
    assert.equal("waiting", task.status)
    return select(2, task:wait())
  end)
  assert.equal("second", result)
  assert.equal("done", task.status)
  assert.same({ n = 2, "first", "second" }, task.results)
end

cases["starts its children in order, when the function next waits"] = function()
  local order = {}
  async.group(function(group)
    for i = 1, 3 do group:spawn(function() order[#order + 1] = i end) end
    assert.same({}, order)
    async.checkpoint()
    assert.same({ 1, 2, 3 }, order)
  end)
end

cases["takes children of its children, also when its function has ended"] = function()
  local count = 0
  async.group(function(group)
    local function grow(depth)
      async.checkpoint()
      count = count + 1
      if depth == 0 then return end
      for _ = 1, 2 do group:spawn(grow, depth - 1) end
    end
    group:spawn(grow, 5)
  end)
  assert.equal(63, count)
end

cases["takes objects that can be called, as function and as child"] = function()
  local child = setmetatable({}, { __call = function(_, x) async.checkpoint() return x end })
  assert.equal(7, async.group(setmetatable({}, {
    __call = function(_, group) return group:spawn(child, 7):wait() end })))
end

cases["has thousands of children, which leave nothing behind one by one"] = function()
  local done = 0
  async.group(function(group)
    for _ = 1, 50 do
      for _ = 1, 100 do group:spawn(function() done = done + 1 end) end
      async.checkpoint()
    end
  end)
  assert.equal(5000, done)
end

cases["nests in itself and in the others"] = function()
  local function inner(x)
    return async.group(function(group)
      return group:spawn(function() return (async.gather(function() return x end)) end):wait()
    end)
  end
  local list = async.group(function(group)
    local task = group:spawn(inner, 1)
    return async.map({ 2, 3 }, inner), task:wait()
  end)
  assert.same({ n = 2, 2, 3 }, list)
end

-- --- errors -------------------------------------------------------------------------------------

cases["the first error of a child cancels its function at its wait, and the other children"] =
  function()
    local problem, ended, seen = {}, {}, nil
    local err = error_of(async.group, function(group)
      group:spawn(slow_to_end(ended, 1))
      group:spawn(fail, problem)
      group:spawn(slow_to_end(ended, 2))
      local _ <close> = closing(function() ended[#ended + 1] = 0 end)
      seen = fails_with("cancelled", sleep_long)
      error(seen)
    end)
    assert.equal(problem, err)
    assert.is_nil(problem.others)
    assert.equal("cancelled: another one of the group failed", tostring(seen))
    table.sort(ended)
    assert.same({ 0, 1, 2 }, ended)
  end

cases["a child's error is raised though the function swallows its cancel and returns"] = function()
  assert.equal("child", error_of(async.group, function(group)
    group:spawn(fail, "child")
    for _ = 1, 3 do fails_with("cancelled", sleep_long) end
    return "fine"
  end))
end

cases["a child's error is raised when the function has ended already"] = function()
  local ended = {}
  assert.equal("child", error_of(async.group, function(group)
    group:spawn(slow_to_end(ended, 1))
    group:spawn(fail, "child")
    return "fine"
  end))
  assert.same({ 1 }, ended)
end

cases["the function's error cancels the children and is raised once they have ended"] = function()
  local problem, ended, reason = {}, {}, nil
  local err = error_of(async.group, function(group)
    group:spawn(slow_to_end(ended, 1))
    group:spawn(function() reason = tostring(fails_with("cancelled", sleep_long)) end)
    async.checkpoint()
    error(problem)
  end)
  assert.equal(problem, err)
  assert.same({ 1 }, ended)
  assert.equal("cancelled: the function of the group failed", reason)
end

cases["the function's error is the first when children fail because of it"] = function()
  local problem = {}
  local err = error_of(async.group, function(group)
    group:spawn(fail_when_cancelled "child")
    async.checkpoint()
    error(problem)
  end)
  assert.equal(problem, err)
  assert.same({ "child" }, problem.others)
  assert.equal("text", error_of(async.group, function(group)
    group:spawn(fail_when_cancelled { "child" })
    async.checkpoint()
    error("text", 0)
  end))
end

cases["others has the errors of all children, then the function's own"] = function()
  local problem = {}
  local err = error_of(async.group, function(group)
    group:spawn(sleep_long)
    group:spawn(fail_when_cancelled "second")
    group:spawn(fail, problem)
    group:spawn(fail_when_cancelled "fourth")
    pcall(sleep_long)
    error("function", 0)
  end)
  assert.equal(problem, err)
  table.sort(err.others)
  assert.same({ "fourth", "function", "second" }, err.others)
end

cases["a table that is raised again and again has the others of the last time"] = function()
  local problem = {}
  for i = 1, 3 do
    error_of(async.group, function(group)
      group:spawn(fail_when_cancelled(i))
      async.checkpoint()
      error(problem)
    end)
    assert.same({ i }, problem.others)
  end
end

cases["an error that the function gets by waiting for its child is one error"] = function()
  local problem = {}
  assert.equal(problem, error_of(async.group, function(group)
    group:spawn(fail, problem):wait()
    return "no tail call"
  end))
  assert.is_nil(problem.others)
  local task = async.spawn(async.group, function(group)
    group:spawn(fail, "text"):wait()
    return "no tail call"
  end)
  assert.equal("text", error_of(task.wait, task))
  assert.is_nil(task.traceback:find "another one failed", task.traceback)
end

cases["joins the tracebacks of child, function and caller"] = function()
  local function culprit() fail {} end
  local function caller()
    async.group(function(group)
      group:spawn(function() culprit() end)
      pcall(sleep_long)
      error "too"
    end)
  end
  local task = async.spawn(function() caller() return 1 end)
  pcall(task.wait, task)
  local expected = "culprit.*spawned at:.*another one failed, too: .-too\ncalled from:.*caller"
  assert.is_truthy(task.traceback:find(expected), task.traceback)
end

cases["a child that is cancelled by hand is no failure"] = function()
  local task
  assert.equal("fine", async.group(function(group)
    task = group:spawn(sleep_long)
    group:spawn(sleep_long):cancel "before its start"
    async.checkpoint()
    task:cancel "by hand"
    return "fine"
  end))
  assert.equal("cancelled", task.status)
  assert.equal("cancelled: by hand", tostring(task.error))
end

cases["what is spawned into a group that was cancelled never starts"] = function()
  local started, task = false, nil
  assert.equal("first", error_of(async.group, function(group)
    group:spawn(fail, "first")
    pcall(sleep_long)
    task = group:spawn(function() started = true end)
    fails_with("cancelled", task.wait, task)
  end))
  assert.is_false(started)
  assert.equal("cancelled: another one of the group failed", tostring(task.error))
end

-- --- cancelled from outside ---------------------------------------------------------------------

cases["cancelled in its function, it ends the children first"] = function()
  local ended = {}
  local task = async.spawn(async.group, function(group)
    group:spawn(slow_to_end(ended, "child"))
    local _ <close> = closing(function() ended[#ended + 1] = "function" end)
    sleep_long()
  end)
  for _ = 1, 3 do async.checkpoint() end
  task:cancel "enough"
  assert.equal("cancelled: enough", tostring(fails_with("cancelled", task.wait, task)))
  assert.same({ "function", "child" }, ended)
  assert.equal("cancelled", task.status)
end

cases["cancelled while it waits for its children, it ends them first"] = function()
  local ended = {}
  local task = async.spawn(async.group, function(group)
    group:spawn(slow_to_end(ended, "child"))
    return "results are lost"
  end)
  for _ = 1, 3 do async.checkpoint() end
  task:cancel "enough"
  assert.equal("cancelled: enough", tostring(fails_with("cancelled", task.wait, task)))
  assert.same({ "child" }, ended)
end

cases["cancelled, it has in others what failed meanwhile, its function's error too"] = function()
  local task = async.spawn(async.group, function(group)
    group:spawn(function()
      pcall(sleep_long)
      async.shield(async.sleep, SHORT)
      error("child", 0)
    end)
    async.checkpoint()
    error("function", 0)
  end)
  for _ = 1, 4 do async.checkpoint() end
  task:cancel "enough"
  local err = fails_with("cancelled", task.wait, task)
  assert.same({ "child", "function" }, err.others)
end

cases["a timeout around it reaches function and children, and is raised"] = function()
  local ended = {}
  fails_with("timeout", async.timeout, SHORT, async.group, function(group)
    group:spawn(slow_to_end(ended, "child"))
    sleep_long()
  end)
  assert.same({ "child" }, ended)
end

cases["a timeout inside its function leaves the children alone"] = function()
  local open, done = false, false
  async.group(function(group)
    fails_with("timeout", async.timeout, SHORT, function()
      group:spawn(function()
        until_true(function() return open end)
        done = true
      end)
      sleep_long()
    end)
    open = true
  end)
  assert.is_true(done)
end

cases["a shield in its function lets that end before the child's error reaches it"] = function()
  local order = {}
  assert.equal("child", error_of(async.group, function(group)
    group:spawn(fail, "child")
    async.shield(function()
      async.sleep(SHORT)
      order[#order + 1] = "shielded"
    end)
    fails_with("cancelled", sleep_long)
    order[#order + 1] = "cancelled"
  end))
  assert.same({ "shielded", "cancelled" }, order)
end

-- --- in coroutines of the app -------------------------------------------------------------------

local function yielding_group(child)
  return function()
    return async.group(function(group)
      coroutine.yield(group:spawn(child))
      async.sleep(0)
      return "end"
    end)
  end
end

cases["a function that yields from an app's coroutine goes on where it is resumed"] = function()
  local gate = false
  local step = coroutine.wrap(yielding_group(function() until_true(function() return gate end) end))
  local child = async.spawn(step):wait()
  gate = true
  assert.equal("end", async.spawn(step):wait())
  assert.equal("done", child.status)
end

cases["a suspended group whose child failed raises when it goes on"] = function()
  local step = coroutine.wrap(yielding_group(function() error("child", 0) end))
  step()
  for _ = 1, 3 do async.checkpoint() end
  assert.equal("child", error_of(step))
  async.sleep(0)
end

cases["closing the coroutine of a suspended group cancels its children"] = function()
  local co = coroutine.create(yielding_group(sleep_long))
  local _, child = coroutine.resume(co)
  async.checkpoint()
  assert.equal("running", child.status)
  assert.is_true(coroutine.close(co))
  fails_with("cancelled", child.wait, child)
  assert.equal("cancelled: its group is gone", tostring(child.error))
  async.sleep(0)
end

cases["a suspended group that is collected cancels its children"] = function()
  local function start()
    local step = coroutine.wrap(yielding_group(sleep_long))
    return step()
  end
  local child = start()
  async.checkpoint()
  until_true(function()
    collectgarbage()
    return child.status ~= "running"
  end)
  assert.equal("cancelled: its group is gone", tostring(child.error))
end

cases["a function that ends in a child of its own cannot wait for that"] = function()
  local other, child
  local step = coroutine.wrap(function()
    async.group(function(group)
      other = group:spawn(sleep_long)
      coroutine.yield(group)
      async.checkpoint()
    end)
  end)
  child = step():spawn(function() step() end)
  local err = error_of(async.timeout, expect.LONG, child.wait, child)
  assert.is_truthy(tostring(err):find("a task cannot wait for itself", 1, true), tostring(err))
  fails_with("cancelled", other.wait, other)
end

-- --- misuse -------------------------------------------------------------------------------------

cases["says what it cannot take, and when it is over"] = function()
  misuse("async.group takes a function(group); the function is a no value", async.group)
  misuse("the function is a number", async.group, 7)
  local kept
  async.group(function(group)
    kept = group
    misuse("group:spawn takes a function and its arguments; the function is a string", group.spawn,
      group, "x")
    misuse("use a colon (group:spawn)", group.spawn, print)
    misuse("use a colon (group:spawn)", group.spawn, {})
    misuse("use a colon (group:spawn)", group.spawn)
    assert.is_nil(group.unknown)
  end)
  local err = misuse("the group has ended: it takes no more tasks", function()
    kept:spawn(print)
    return 1
  end)
  assert.is_truthy(err:find "groups.lua:%d+: ", err)
  pcall(async.group, function(group)
    kept = group
    error "x"
  end)
  misuse("the group has ended", kept.spawn, kept, print)
end

cases["cannot be ended from inside, by whatever way"] = function()
  assert.equal("fine", async.group(function(group)
    group:spawn(async.checkpoint)
    misuse("non-closable value", function() local _ <close> = group end)
    assert.is_nil(group.__gc)
    assert.is_nil(getmetatable(group).__gc)
    assert.is_nil(getmetatable(group).__close)
    return "fine"
  end))
end

return cases
