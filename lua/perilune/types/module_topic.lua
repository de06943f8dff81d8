---@meta perilune.topic
-- module_topic.lua - for the Lua language server: what `require "perilune.topic"` gives.
--
-- Nothing loads this file.

---@param name string
---@param options table?
---@return perilune.Topic
local function topic(name, options) end

return topic
