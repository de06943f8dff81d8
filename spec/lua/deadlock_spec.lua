-- deadlock_spec.lua - `perilune test` ends a spec in which every task waits for another one.
--
-- A run of its own, with specs that deadlock and specs that only look like it; its output is read.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"

local SPECS = [[
local async = require "perilune.async"

local function never_ends()
  local first, second
  local function one() second:wait() end
  local function two() async.gather(first) end
  first, second = async.spawn(one), async.spawn(two)
  first:wait()
end

describe("these specs", function()
  local closed = 0
  it("wait for each other", function()
    local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
    pcall(never_ends)
    async.checkpoint()
  end)
  it("go on with the next", function()
    assert.equal(1, closed)
    async.sleep(0.001)
  end)
  it("wait for one that waits for time", function()
    local sleeper = async.spawn(async.sleep, 1.2)
    async.gather(function() sleeper:wait() end, function() sleeper:wait() end)
  end)
  it("wait with a limit", function()
    local task
    task = async.spawn(function() pcall(async.timeout, 1.2, task.wait, async.spawn(never_ends)) end)
    task:wait()
  end)
end)

describe("what is around a spec", function()
  before_each(never_ends)
  it("is ended, too", function() end)
end)
]]

describe("a deadlock", function()
  local result

  setup(function()
    local directory = program.make_directory { ["deadlock_spec.lua"] = SPECS }
    result = program.run { "test", directory, "-o", "TAP" }
    program.remove_directory(directory)
  end)

  it("fails its spec and no other", function()
    assert.equal(1, result.code)
    assert.is_truthy(result.out:find "3 passed, 2 failed", result.out)
    assert.is_truthy(result.out:find "not ok %d %- these specs wait for each other")
    for _, name in ipairs { "go on with the next", "wait for one that waits for time",
      "wait with a limit" } do
      assert.is_truthy(result.out:find("\nok %d %- these specs " .. name), name .. result.out)
    end
    assert.is_truthy(result.out:find "what is around a spec before_each")
  end)

  it("is told with who waits for what, and where", function()
    assert.is_truthy(result.out:find(
      "deadlock_spec.lua:%d+: deadlock: every task waits for another one"), result.out)
    for _, text in ipairs {
      "spec waits in task:wait for task: one %(running%), at [^\n]*deadlock_spec.lua:8",
      "one waits in task:wait for task: two %(running%), at [^\n]*deadlock_spec.lua:5",
      "two waits in async.gather for 1 task, at [^\n]*deadlock_spec.lua:6",
    } do
      assert.is_truthy(result.out:find(text), text .. "\n" .. result.out)
    end
  end)
end)
