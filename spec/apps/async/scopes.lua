-- scopes.lua - cases of cancellation, timeouts and shields, by name.
--
-- As waits.lua, which has the simple ones: run in a spec's fiber, a plain handler and a thread of
-- the pool.

local assert = require "luassert"
local async = require "perilune.async"

local expect = require(((...):gsub("%w+$", "expect")))

local SHORT = expect.SHORT
local closing, compute, compute_forever = expect.closing, expect.compute, expect.compute_forever
local fails_with, sleep_long, until_true = expect.fails_with, expect.sleep_long, expect.until_true

local cases = {}

--- A running task of fn that has got to its first wait.
local function start(fn, ...)
  local task = async.spawn(fn, ...)
  async.checkpoint()
  assert.equal("running", task.status)
  return task
end

-- --- close handlers -----------------------------------------------------------------------------

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
  local ways = {
    { async.gather, stubborn, sleep_long }, { async.settle, sleep_long, stubborn },
    { async.race, stubborn }, { async.any, stubborn }, { async.map, { 1, 2 }, stubborn },
    { group_of, stubborn }, { group_waiting_for, stubborn },
    { async.gather, function() group_of(function() async.gather(stubborn) end) end },
    { async.shield, async.timeout, SHORT, async.gather, stubborn },
    { coroutine.wrap(async.gather), stubborn },
  }
  for _, way in ipairs(ways) do
    fails_with("timeout", async.timeout, SHORT, table.unpack(way))
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
