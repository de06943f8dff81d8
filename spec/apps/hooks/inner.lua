-- inner.lua - a mounted app with hooks, and with one that is mounted in it, twice.
--
-- Hooks of an app run once, however often it is mounted.

local note = require "note"
local perilune = require "perilune"

local innermost = perilune.app { name = "innermost" }
innermost:on_start(function() note.add "innermost start" end)
innermost:on_stop(function() note.add "innermost stop" end)

local app = perilune.app { name = "inner" }
app:mount("/a", innermost)
app:on_start(function() note.add "inner start" end)
app:on_stop(function() note.add "inner stop" end)
app:on_state(function(state) note.add_state("inner state", state) end)
app:on_worker(function() note.add "inner worker" end)
app:mount("/b", innermost)

local ticks = 0
app:every(0.002, perilune.blocking(function()
  ticks = ticks + 1
  if ticks == 1 then note.add("inner tick in " .. note.state.role) end
end))

return app
