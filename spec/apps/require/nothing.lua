-- nothing.lua - returns nothing.
--
-- Its value is true, and it is run once.

local gates = require "gates"

gates.runs.nothing = (gates.runs.nothing or 0) + 1
