-- maps.lua - cases of async.map, by name.
--
-- As children.lua: run in a spec's fiber, a plain handler and a thread of the pool.

local assert = require "luassert"
local async = require "perilune.async"

local expect = require(((...):gsub("%w+$", "expect")))

local SHORT = expect.SHORT
local echo, error_of, fail = expect.echo, expect.error_of, expect.fail
local fail_when_cancelled, misuse = expect.fail_when_cancelled, expect.misuse
local slow_to_end, table_error = expect.slow_to_end, expect.table_error
local until_true = expect.until_true

local cases = {}

cases["gives first results in the order of the list, with n"] = function()
  local function later(x)
    async.sleep(SHORT / x)
    return x * 10, "not this"
  end
  assert.same({ n = 3, 10, 20, 30 }, async.map({ 1, 2, 3 }, later))
  assert.same({ n = 3, 10, 20, 30 }, async.map({ 1, 2, 3 }, later, { limit = 2 }))
  assert.same({ n = 0 }, async.map({}, later))
  assert.same({ n = 2, 1, 2 }, async.map({ 1, 2 }, setmetatable({}, {
    __call = function(_, x) return x end })))
end

cases["keeps nil results as holes, and nil items up to list.n"] = function()
  local function odd(x) return x % 2 == 1 and x or nil end
  assert.same({ n = 4, 1, nil, 3, nil }, async.map({ 1, 2, 3, 4 }, odd))
  local seen = async.map(table.pack(1, nil, 3, nil), function(x) return tostring(x) end)
  assert.same({ n = 4, "1", "nil", "3", "nil" }, seen)
  assert.same({ n = 2, 1, 2 }, async.map({ 1, 2, 3, n = 2 }, echo))
end

cases["gives fn the item and nothing else"] = function()
  assert.same({ n = 1, 1 }, async.map({ "x" }, function(...) return select("#", ...) end))
end

cases["runs as many at a time as its limit says, all without one"] = function()
  local running, most, started
  local function count()
    running, started = running + 1, started + 1
    most = math.max(most, running)
    for _ = 1, 3 do async.checkpoint() end
    running = running - 1
  end
  local list = {}
  for i = 1, 20 do list[i] = i end
  for _, case in ipairs { { 1, 1 }, { 3, 3 }, { 20, 20 }, { 1000, 20 }, { 22 / 2, 11 } } do
    local limit, expected = table.unpack(case)
    running, most, started = 0, 0, 0
    async.map(list, count, { limit = limit })
    assert.equal(expected, most)
    assert.equal(20, started)
  end
  running, most, started = 0, 0, 0
  async.map(list, count)
  assert.equal(20, most)
end

cases["starts an item when one before it has ended"] = function()
  local order, open = {}, {}
  local task = async.spawn(async.map, { 1, 2, 3, 4 }, function(i)
    order[#order + 1] = "start " .. i
    until_true(function() return open[i] end)
    order[#order + 1] = "end " .. i
  end, { limit = 2 })
  until_true(function() return #order == 2 end)
  for _ = 1, 5 do async.checkpoint() end
  assert.same({ "start 1", "start 2" }, order)
  open[2] = true
  until_true(function() return #order == 4 end)
  assert.same({ "start 1", "start 2", "end 2", "start 3" }, order)
  open[1], open[3], open[4] = true, true, true
  task:wait()
end

cases["its first error cancels what runs and starts no more"] = function()
  local problem, ended, started = table_error "mine", {}, 0
  local err = error_of(async.map, { 1, 2, 3, 4, 5 }, function(i)
    started = started + 1
    if i == 2 then fail(problem) end
    if i == 1 then fail_when_cancelled "too"() end
    slow_to_end(ended, i)()
  end, { limit = 3 })
  assert.equal(problem, err)
  assert.same({ "too" }, err.others)
  assert.same({ 3 }, ended)
  assert.equal(3, started)
end

cases["takes a list with a metatable, whose error is raised once what runs has ended"] =
  function()
    local problem, ended = table_error "no third", {}
    local meta = { __len = function() return 5 end, __index = function(_, i) return i end }
    local list = setmetatable({}, meta)
    assert.same({ n = 5, 1, 2, 3, 4, 5 }, async.map(list, echo, { limit = 2 }))
    function meta.__index(_, i)
      if i == 3 then error(problem) end
      return i
    end
    local err = error_of(async.map, list, function(i)
      if i == 2 then slow_to_end(ended, i)() end
    end, { limit = 2 })
    assert.equal(problem, err)
    assert.same({ 2 }, ended)
    assert.equal(problem, error_of(async.map, list, slow_to_end(ended, "never started")))
    assert.same({ 2 }, ended)
    function meta.__index() error() end
    assert.is_nil(error_of(async.map, list, echo))
    function meta.__index() async.checkpoint() end
    misuse("async.checkpoint cannot wait inside 'perilune.async.map'", async.map, list, echo)
    function meta.__len() async.checkpoint() end
    misuse("async.checkpoint cannot wait inside 'perilune.async.map'", async.map, list, echo)
  end

cases["of ten thousand items, three at a time, keeps its memory"] = function()
  local list = {}
  for i = 1, 10000 do list[i] = i end
  local most, before = 0, nil
  local results = async.map(list, function(i)
    if i % 1000 == 0 then
      collectgarbage()
      local now = collectgarbage "count"
      if i == 2000 then before = now end
      if before then most = math.max(most, now - before) end
    end
    async.checkpoint()
    return i
  end, { limit = 3 })
  assert.equal(10000, results.n)
  assert.equal(10000, results[10000])
  -- the results themselves are an array that doubles: 128 KiB and 256 KiB
  assert.is_true(most < 600, ("%.0f KiB more"):format(most))
end

cases["says what it cannot take"] = function()
  local function call(...)
    async.map(...)
    return "no tail call"
  end
  misuse("table expected, got number", call, 7, echo)
  misuse("async.map takes a list; this table has no items, but a key that is a string", call,
    { a = 1 }, echo)
  misuse("async.map takes a list and a function; the function is a no value", call, {})
  misuse("the function is a string", call, {}, "x")
  misuse('unknown option "limt" (did you mean "limit"?)', call, {}, echo, { limt = 1 })
  misuse("table expected, got number", call, {}, echo, 3)
  for _, limit in ipairs { 0, -1, 1.5, math.huge, 0 / 0, "2", false } do
    local err = misuse('option "limit" is a whole number from 1 on', call, { 1 }, echo,
      { limit = limit })
    assert.is_truthy(err:find "maps.lua:%d+: ", err)
  end
end

return cases
