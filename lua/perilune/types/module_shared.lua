---@meta perilune.shared
-- module_shared.lua - for the Lua language server: what `require "perilune.shared"` gives.
--
-- Nothing loads this file.

---@param name string
---@param options table?
---@return perilune.Shared
local function shared(name, options) end

return shared
