-- waits.lua - a module that waits while it loads, as one that opens a database does.
--
-- It is not required while the app loads, so each state loads it when it is first named there.

local async = require "perilune.async"

async.sleep(0.001)

return { state = function() return tostring(_G) end, name = "waits" }
