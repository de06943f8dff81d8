---@meta perilune.log
-- module_log.lua - for the Lua language server: what `require "perilune.log"` gives.
--
-- Nothing loads this file.

---@type perilune.log
local log

return log
