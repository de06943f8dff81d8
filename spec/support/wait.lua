-- wait.lua - waiting for a condition inside a fiber.
--
-- wait_until(check, limit) lets the event loop run between two looks, so what it waits for may
-- happen in this very state. Past the limit it raises: a spec that waits in vain fails here and not
-- in whatever comes next. No spec sleeps for a guessed time.

local async = require "perilune.async"

local LIMIT_S = 30
local PAUSE_S = 0.001

local wait = {}

--- Calls check() until it gives something true, which it returns.
---@param check function
---@param limit? number seconds
---@param what? string|function what is waited for, for the error
function wait.wait_until(check, limit, what)
  local deadline = async.now() + (limit or LIMIT_S)
  while true do
    local result = check()
    if result then return result end
    if async.now() > deadline then
      local told = type(what) == "function" and what() or what or "the condition"
      error(("waited %g s in vain for %s"):format(limit or LIMIT_S, told), 2)
    end
    async.sleep(PAUSE_S)
  end
end

--- Waits until the log of a server (support.server) has the pattern: its captures.
---@param server table
---@param pattern string
function wait.for_log(server, pattern)
  local found = wait.wait_until(function()
    local captures = { server:log():match(pattern) }
    return captures[1] and captures
  end, LIMIT_S, function() return ("%q in the log:\n%s"):format(pattern, server:log()) end)
  return table.unpack(found)
end

return wait
