-- slow.lua - a module that waits while it loads, until its gate is open.
--
-- Fails when the gate says so, as often as it is required.

local async = require "perilune.async"
local gates = require "gates"

gates.runs.slow = (gates.runs.slow or 0) + 1
while not gates.open.slow do async.checkpoint() end
if gates.open.slow == "fail" then error "slow failed" end

return { value = "slow" }
