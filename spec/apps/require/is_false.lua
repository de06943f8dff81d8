-- is_false.lua - returns false.
--
-- So it is run again at each require, as in plain Lua.

local gates = require "gates"

gates.runs.is_false = (gates.runs.is_false or 0) + 1

return false
