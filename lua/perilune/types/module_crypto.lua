---@meta perilune.crypto
-- module_crypto.lua - for the Lua language server: what `require "perilune.crypto"` gives.
--
-- Nothing loads this file.

---@type perilune.crypto
local crypto

return crypto
