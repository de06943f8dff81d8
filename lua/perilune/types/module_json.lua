---@meta perilune.json
-- module_json.lua - for the Lua language server: what `require "perilune.json"` gives.
--
-- Nothing loads this file.

---@type perilune.json
local json

return json
