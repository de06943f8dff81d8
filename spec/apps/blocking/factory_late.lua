-- factory_late.lua - a module with a mark that app.lua does not require while it loads.
--
-- A handler requires it, which must raise.

local perilune = require "perilune"

local late = perilune.blocking(function() return "late" end)

return late
