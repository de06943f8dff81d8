-- failing.lua - fails the first time that it is run.
--
-- The second time it gives its value.

local gates = require "gates"

gates.runs.failing = (gates.runs.failing or 0) + 1
if gates.runs.failing == 1 then error { code = "first" } end

return { value = "second" }
