-- waits.lua - cases of perilune.async, by name: functions that raise when something is wrong.
--
-- async_spec.lua runs them in a spec's fiber, and again in the pool through app.lua: a case may not
-- know where it runs. Durations are asserted downwards only.

local assert = require "luassert"
local async = require "perilune.async"

local expect = require(((...):gsub("%w+$", "expect")))

local LONG, SHORT = expect.LONG, expect.SHORT
local closing, compute_forever = expect.closing, expect.compute_forever
local fails_with, kind_of = expect.fails_with, expect.kind_of
local sleep_long, until_true = expect.sleep_long, expect.until_true

local waits = {}

-- --- sleep, now, checkpoint, spawn --------------------------------------------------------------

waits["sleep takes its time"] = function()
  local before = async.now()
  async.sleep(SHORT)
  assert.is_true(async.now() - before >= SHORT)
  assert.equal("float", math.type(before))
end

waits["sleep of nothing or less comes back"] = function()
  async.sleep(0)
  async.sleep(-1)
  assert.is_false(pcall(async.sleep))
  assert.is_false(pcall(async.sleep, "soon"))
  assert.is_false(pcall(async.sleep, 0 / 0))
end

waits["sleeps end in the order of their ends"] = function()
  local order = {}
  local function sleeper(name, seconds)
    return function()
      async.sleep(seconds)
      order[#order + 1] = name
    end
  end
  async.gather(sleeper("c", 0.15), sleeper("a", 0.01), sleeper("b", 0.08))
  assert.same({ "a", "b", "c" }, order)
end

waits["checkpoint lets others run"] = function()
  local order = {}
  local task = async.spawn(function() order[#order + 1] = "other" end)
  order[#order + 1] = "before"
  async.checkpoint()
  order[#order + 1] = "after"
  assert.same({ "before", "other", "after" }, order)
  task:wait()
end

waits["spawn gives a task"] = function()
  local task = async.spawn(function(...)
    async.checkpoint()
    return select("#", ...), ...
  end, 1, nil, "x", nil)
  assert.equal("waiting", task.status)
  assert.is_nil(task.results)
  local results = table.pack(task:wait())
  assert.same({ n = 5, 4, 1, nil, "x", nil }, results)
  assert.equal("done", task.status)
  assert.same({ n = 5, 4, 1, nil, "x", nil }, task.results)
  assert.same({ n = 4, 1, nil, "x", nil }, task.args)
  assert.equal("function", type(task.fn))
  assert.same(results, table.pack(task:wait()))
  assert.is_false(pcall(async.spawn, "no function"))
end

waits["a task's metamethods take tasks only"] = function()
  local meta = getmetatable(async.spawn(async.checkpoint))
  for _, value in ipairs { 7, {}, setmetatable({}, meta), io.stdout } do
    assert.is_false(pcall(meta.__index, value, "status"))
    assert.is_false(pcall(meta.__tostring, value))
  end
end

waits["a spawned task keeps its error"] = function()
  local problem = { code = 7 }
  local task = async.spawn(function() error(problem) end)
  local ok, err = pcall(task.wait, task)
  assert.is_false(ok)
  assert.equal(problem, err)
  assert.equal("failed", task.status)
  assert.equal(problem, task.error)
  assert.is_truthy(task.traceback:find("waits.lua", 1, true))
  assert.is_nil(task.results)
end

waits["task:wait has a limit"] = function()
  local task = async.spawn(sleep_long)
  fails_with("timeout", task.wait, task, SHORT)
  assert.equal("running", task.status)
  task:cancel()
  fails_with("cancelled", task.wait, task)
end

-- --- gather -------------------------------------------------------------------------------------

waits["gather gives first results in order"] = function()
  local a, b, c = async.gather(
    function() async.sleep(SHORT) return 1, "not this" end,
    function() return 2 end,
    function() async.checkpoint() return 3 end)
  assert.same({ 1, 2, 3 }, { a, b, c })
end

waits["gather keeps nil results in their places"] = function()
  local results = table.pack(async.gather(
    function() end, function() return nil, 5 end, function() return false end, function() end))
  assert.same({ n = 4, nil, nil, false, nil }, results)
  assert.equal(0, select("#", async.gather()))
end

waits["gather takes a list and gives a list"] = function()
  assert.same({ "a", "b" }, async.gather {
    function() async.sleep(SHORT) return "a" end, function() return "b" end })
  assert.same({}, async.gather {})
end

waits["gather takes names and gives names"] = function()
  assert.same({ orders = 1, profile = 2, [1] = 3 }, async.gather {
    orders = function() async.checkpoint() return 1 end,
    profile = function() return 2 end,
    function() return 3 end,
  })
end

waits["async.gather takes functions with arguments, and tasks"] = function()
  local task = async.spawn(function(x) async.checkpoint() return x end, "task")
  local done = async.spawn(function() return "done" end)
  done:wait()
  local a, b, c = async.gather({ function(...) return table.pack(...) end, 1, nil, 3, n = 4 },
    task, done)
  assert.same({ n = 3, 1, nil, 3 }, a)
  assert.same({ "task", "done" }, { b, c })
end

waits["gather takes one task several times, and in several gathers"] = function()
  local task = async.spawn(function()
    async.sleep(SHORT)
    return "once"
  end)
  local function alone() return async.gather(task) end
  assert.same({ "once", "once", "once", "once" }, { async.gather(task, task, alone, alone) })
  assert.equal("once", async.gather(task))
end

waits["gather that cannot start leaves nothing behind"] = function()
  local function start()
    local ran = false
    local ok, err = pcall(async.gather, function() ran = true end, { sleep_long, n = -1 })
    assert.is_false(ok)
    assert.is_truthy(err:find("1 to 250000 values, one has -1", 1, true), err)
    return function() return ran end
  end
  local has_run = start()
  collectgarbage()
  for _ = 1, 3 do async.checkpoint() end
  assert.is_false(has_run())
end

waits["gather starts its functions in order"] = function()
  local order, functions = {}, {}
  for i = 1, 20 do functions[i] = function() order[#order + 1] = i end end
  async.gather(functions)
  for i = 1, 20 do assert.equal(i, order[i]) end
end

waits["gather raises the first error, by identity"] = function()
  local problem = setmetatable({}, { __tostring = function() return "mine" end })
  local ok, err = pcall(async.gather, sleep_long, function()
    async.checkpoint()
    error(problem)
  end)
  assert.is_false(ok)
  assert.equal(problem, err)
end

waits["gather cancels the others, and waits for them"] = function()
  local seen = {}
  local function sibling()
    local _ <close> = closing(function() seen[#seen + 1] = "closed" end)
    local err = fails_with("cancelled", async.sleep, LONG)
    seen[#seen + 1] = tostring(err)
    error(err)
  end
  local _, err = pcall(async.gather, sibling, function()
    async.checkpoint()
    error("first", 0)
  end, sibling)
  assert.equal("first", err)
  assert.equal(4, #seen)
  assert.is_truthy(seen[1]:find "another one of the gather failed")
end

waits["gather in a cancelled task ends its functions first"] = function()
  local ended = 0
  local task = async.spawn(function()
    local function child()
      local _ <close> = closing(function() ended = ended + 1 end)
      sleep_long()
    end
    async.gather(child, child)
  end)
  async.checkpoint()
  async.checkpoint()
  task:cancel "enough"
  local err = fails_with("cancelled", task.wait, task)
  assert.equal(2, ended)
  assert.is_truthy(tostring(err):find "enough")
  assert.equal("cancelled", task.status)
end

waits["gather joins the tracebacks"] = function()
  local function culprit() error "boom" end
  local function bystander() async.gather(function() culprit() end) end
  local task = async.spawn(function()
    bystander()
    return "no tail call"
  end)
  pcall(task.wait, task)
  assert.is_truthy(task.traceback:find "culprit.*called from:.*bystander", task.traceback)
end

waits["gather says what it cannot take"] = function()
  local started = false
  local ok, err = pcall(async.gather, function() started = true end, 7)
  assert.is_false(ok)
  assert.is_truthy(tostring(err):find "async.gather takes functions, tasks and tables", err)
  assert.is_false(pcall(async.gather, { a = "x" }))
  assert.is_false(pcall(async.gather, nil, function() end))
  async.checkpoint()
  assert.is_false(started)
end

waits["gathers nest"] = function()
  local function inner()
    return async.gather { function() return 1 end, function() return 2 end }
  end
  assert.same({ { 1, 2 }, { 1, 2 } }, { async.gather(inner, inner) })
end

-- --- timeout ------------------------------------------------------------------------------------

waits["timeout passes arguments and results through"] = function()
  local results = table.pack(async.timeout(LONG, function(...)
    async.checkpoint()
    return select("#", ...), nil, ..., nil
  end, "a", nil))
  assert.same({ n = 4, 2, nil, "a", nil }, results)
  local problem = {}
  local ok, err = pcall(async.timeout, LONG, function() error(problem) end)
  assert.is_false(ok)
  assert.equal(problem, err)
end

waits["timeout ends a wait"] = function()
  local before = async.now()
  local err = fails_with("timeout", async.timeout, SHORT, sleep_long)
  assert.is_true(async.now() - before >= SHORT)
  assert.is_truthy(tostring(err):find "timeout after 0.02 s")
end

waits["timeout ends computing code"] = function()
  fails_with("timeout", async.timeout, SHORT, compute_forever)
  async.sleep(0)
end

waits["timeout ends loops of pcall and xpcall"] = function()
  fails_with("timeout", async.timeout, SHORT, function()
    while true do pcall(function() while true do end end) end
  end)
  fails_with("timeout", async.timeout, SHORT, function()
    while true do xpcall(compute_forever, function(err) return err end) end
  end)
  fails_with("timeout", async.timeout, SHORT, function()
    while true do pcall(pcall, pcall, error, "x") end
  end)
end

waits["timeout ends sort comparators and gsub callbacks"] = function()
  local list = {}
  for i = 1, 100 do list[i] = -i end
  fails_with("timeout", async.timeout, SHORT, function()
    while true do
      pcall(table.sort, list, function(a, b)
        for _ = 1, 1000 do pcall(error) end
        return a < b
      end)
    end
  end)
  fails_with("timeout", async.timeout, SHORT, function()
    (("x"):rep(100)):gsub("x", function() while true do pcall(error) end end)
  end)
end

waits["timeout ends computing inside coroutines"] = function()
  fails_with("timeout", async.timeout, SHORT, function()
    while true do coroutine.resume(coroutine.create(compute_forever)) end
  end)
  fails_with("timeout", async.timeout, SHORT, function()
    coroutine.wrap(function() coroutine.wrap(function() pcall(compute_forever) end)() end)()
  end)
end

waits["timeout raises though the cancel was swallowed"] = function()
  fails_with("timeout", async.timeout, SHORT, function()
    pcall(sleep_long)
    return "late"
  end)
  local count = 0
  fails_with("timeout", async.timeout, SHORT, function()
    for _ = 1, 5 do
      fails_with("cancelled", sleep_long)
      count = count + 1
    end
  end)
  assert.equal(5, count)
end

waits["timeout raises when its function ends late"] = function()
  local err = fails_with("timeout", async.timeout, 0, function() return "at once" end)
  assert.is_truthy(tostring(err):find "timeout after 0")
end

waits["timeouts nest, the inner one ends first"] = function()
  local result = async.timeout(LONG, function()
    local err = fails_with("timeout", async.timeout, SHORT, sleep_long)
    async.sleep(0)
    return tostring(err)
  end)
  assert.is_truthy(result:find "0.02")
  assert.equal("fine", async.timeout(LONG, function()
    fails_with("timeout", async.timeout, SHORT, compute_forever)
    pcall(error, "caught normally")
    return "fine"
  end))
end

waits["timeouts nest, the outer one ends first"] = function()
  local inner
  local err = fails_with("timeout", async.timeout, SHORT, function()
    local _
    _, inner = pcall(async.timeout, LONG, sleep_long)
    error(inner)
  end)
  assert.is_truthy(tostring(err):find "0.02")
  assert.equal("cancelled", kind_of(inner))
  local reached = false
  fails_with("timeout", async.timeout, SHORT, function()
    pcall(async.timeout, LONG, compute_forever)
    reached = true
  end)
  assert.is_false(reached)
end

waits["timeout runs close handlers once, with a grace"] = function()
  local closed, finished = 0, 0
  for _, body in ipairs { sleep_long, compute_forever } do
    fails_with("timeout", async.timeout, SHORT, function()
      local _ <close> = closing(function()
        closed = closed + 1
        local deadline = async.now() + SHORT
        while async.now() < deadline do end
        finished = finished + 1
      end)
      body()
    end)
  end
  assert.equal(2, closed)
  assert.equal(2, finished)
end

waits["timeout ends a close handler that goes on"] = function()
  local before = async.now()
  fails_with("timeout", async.timeout, SHORT, function()
    local _ <close> = closing(compute_forever)
    compute_forever()
  end)
  assert.is_true(async.now() - before >= 0.5)
end

waits["timeout checks its arguments"] = function()
  assert.is_false(pcall(async.timeout, "x", print))
  assert.is_false(pcall(async.timeout, 1))
  assert.is_false(pcall(async.timeout, 0 / 0, print))
end

waits["after a timeout all goes on as before"] = function()
  for _ = 1, 3 do
    pcall(async.timeout, SHORT, compute_forever)
    pcall(async.timeout, SHORT, sleep_long)
    assert.is_false(pcall(error, "x"))
    async.sleep(0)
    assert.same({ 1, 2 }, { async.gather(function() return 1 end, function() return 2 end) })
  end
end

-- --- cancellation -------------------------------------------------------------------------------

waits["cancel reaches every wait, through pcall and xpcall"] = function()
  local kinds = {}
  local function note(ok, err) kinds[#kinds + 1] = ok or kind_of(err) end
  local task = async.spawn(function()
    note(pcall(sleep_long))
    note(xpcall(sleep_long, function(err) return err end))
    note(pcall(async.checkpoint))
    note(pcall(async.gather, function() return 1 end))
    note(pcall(coroutine.wrap(sleep_long)))
    sleep_long()
  end)
  until_true(function() return task.status == "running" end)
  task:cancel "no more"
  local err = fails_with("cancelled", task.wait, task)
  assert.equal("cancelled: no more", tostring(err))
  assert.same({ "cancelled", "cancelled", "cancelled", "cancelled", "cancelled" }, kinds)
  assert.equal("cancelled", task.status)
end

waits["a loop that swallows cancels lets others run"] = function()
  local rounds, is_over = 0, false
  local stubborn = async.spawn(function()
    while not is_over do pcall(sleep_long) end
    return "left by itself"
  end)
  async.checkpoint()
  stubborn:cancel()
  for _ = 1, 20 do
    async.checkpoint()
    rounds = rounds + 1
  end
  is_over = true
  pcall(stubborn.wait, stubborn)
  assert.equal(20, rounds)
end

waits["a computing task is interrupted after its grace"] = function()
  local task = async.spawn(function()
    pcall(sleep_long)
    while true do pcall(compute_forever) end
  end)
  async.checkpoint()
  task:cancel()
  fails_with("cancelled", task.wait, task)
end

waits["a task cancelled before its start never runs"] = function()
  local ran = false
  local task = async.spawn(function() ran = true end)
  task:cancel "not needed"
  fails_with("cancelled", task.wait, task)
  assert.is_false(ran)
  assert.equal("cancelled", task.status)
  task:cancel "twice"
end

waits["a task is waited for with any number as a limit"] = function()
  local sleeper = async.spawn(sleep_long)
  for _, limit in ipairs { 0, -1, -math.huge } do
    fails_with("timeout", sleeper.wait, sleeper, limit)
  end
  sleeper:cancel()
  local task = async.spawn(async.checkpoint)
  assert.is_truthy(select(2, pcall(task.wait, task, 0 / 0)):find("got nan", 1, true))
  task:wait(math.huge)
end

waits["a cancelled waiter leaves the task alone"] = function()
  local gate = false
  local task = async.spawn(function()
    while not gate do async.checkpoint() end
    return "mine"
  end)
  fails_with("timeout", async.timeout, SHORT, task.wait, task)
  gate = true
  assert.equal("mine", task:wait())
end

return waits
