-- scopes.lua - cases of cancellation, timeouts and shields, by name.
--
-- As waits.lua, which has the simple ones: run in a spec's fiber, a plain handler and a thread of
-- the pool.

local assert = require "luassert"
local async = require "perilune.async"

local expect = require(((...):gsub("%w+$", "expect")))

local SHORT = expect.SHORT
local closing, compute, compute_forever = expect.closing, expect.compute, expect.compute_forever
local fails_with, sleep_long = expect.fails_with, expect.sleep_long

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

return cases
