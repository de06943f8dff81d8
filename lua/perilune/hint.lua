-- hint.lua - what to do about errors of Lua itself that an app's author makes first.
--
-- hint(message) gives the message, with a remark behind it where one helps: a library that was used
-- without `require`.

local libraries = {}
for _, name in ipairs { "async", "context", "crypto", "fs", "http", "json", "log", "process",
  "shared", "sqlite", "test", "topic" } do
  libraries[name] = ('local %s = require "perilune.%s"'):format(name, name)
end
libraries.perilune = 'local perilune = require "perilune"'

---@param message any an error as it was raised
---@return any
return function(message)
  if type(message) ~= "string" then return message end
  local name = message:match "a nil value %(global '([%w_]+)'%)$"
  local line = name and libraries[name]
  return line and ("%s: %s is missing at the top of the file"):format(message, line) or message
end
