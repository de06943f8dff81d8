-- test/clock.lua - `client.clock`: the time of an app under test, and moving it.
--
-- A clock exists for `clock = "virtual"` and `clock = "auto"`. It starts at the same time in each
-- run and moves only while the app, its threads and the spec wait.

local check = require "perilune.check"

local clock = {}

local Clock = { __name = "clock" }
Clock.__index = Clock

--- The kinds of clocks that a client may ask for.
clock.kinds = { "real", "virtual", "auto" }

---@param service userdata of perilune.native.service, with a clock
---@return table clock
function clock.new(service)
  return setmetatable({ service = service }, Clock)
end

--- Lets time pass: what is due happens, in order, and what that starts comes to rest.
---@param seconds number
---@usage client.clock:advance(3600)
function Clock:advance(seconds)
  check.self(self, Clock, "advance")
  if math.type(seconds) == nil or seconds ~= seconds or seconds < 0 then
    check.fail("clock:advance takes seconds, from 0 on, not %s", tostring(seconds))
  end
  self.service:advance(seconds)
end

--- Seconds on this clock, as async.now() gives them to the app.
---@return number
function Clock:now()
  check.self(self, Clock, "now")
  return self.service:now()
end

return clock
