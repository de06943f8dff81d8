---@meta perilune.process
-- module_process.lua - for the Lua language server: what `require "perilune.process"` gives.
--
-- Nothing loads this file.

---@type perilune.process
local process

return process
