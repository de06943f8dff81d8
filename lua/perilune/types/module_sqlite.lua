---@meta perilune.sqlite
-- module_sqlite.lua - for the Lua language server: what `require "perilune.sqlite"` gives.
--
-- Nothing loads this file.

---@type perilune.sqlite
local sqlite

return sqlite
