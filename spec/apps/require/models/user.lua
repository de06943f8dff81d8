-- models/user.lua - a module in a directory.
--
-- Knows its name and path, as modules of Lua do.

local name, path = ...

return { name = function() return "user" end, module = name, path = path }
