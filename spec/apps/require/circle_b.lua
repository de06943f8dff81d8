-- circle_b.lua - requires a module that requires this one.
--
-- See circle_a.lua.

return { a = require "circle_a" }
