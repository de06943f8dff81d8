-- circle_a.lua - requires a module that requires this one.
--
-- See circle_b.lua.

return { b = require "circle_b" }
