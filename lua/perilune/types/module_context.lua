---@meta perilune.context
-- module_context.lua - for the Lua language server: what `require "perilune.context"` gives.
--
-- Nothing loads this file.

---@type table
local context

return context
