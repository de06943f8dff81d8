-- marks.lua - marked functions, which say in which Lua state they have run.
--
-- A module with marks is required while the app loads.

local async = require "perilune.async"
local perilune = require "perilune"

local blocking = perilune.blocking

local function state(...) return tostring(_G), ... end

return {
  plain = blocking(function(...) return ... end),
  name_of = blocking(function(module) return module.name end),
  in_one = blocking({ pool = "one" }, state),
  sleeps = blocking({ timeout = 0.05 }, function() async.sleep(60) end),
  in_time = blocking({ timeout = 60 }, function() return "in time" end),
  computes = blocking({ timeout = 0.05, pool = "one" }, function()
    while true do pcall(string.rep, "x") end
  end),
}
