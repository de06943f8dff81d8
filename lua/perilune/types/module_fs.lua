---@meta perilune.fs
-- module_fs.lua - for the Lua language server: what `require "perilune.fs"` gives.
--
-- Nothing loads this file.

---@type perilune.fs
local fs

return fs
