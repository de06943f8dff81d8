-- check.lua - errors for app authors, raised at their line.
--
-- Misuse is reported where it was written: each function here looks for the first caller outside
-- of the framework's own files.

local native = require "perilune.native.app"

local check = {}

local own_directory = debug.getinfo(1, "S").source:match("^(.*)check%.lua$")

--- The stack level, for the caller of the function that asks, of the first line that is not ours.
local function user_level()
  local level = 3
  while true do
    local info = debug.getinfo(level, "S")
    if not info then return 0 end
    local is_ours = info.what == "C" or info.source:sub(1, #own_directory) == own_directory
    if not is_ours then return level - 1 end
    level = level + 1
  end
end

--- Raises a message with the position of the app author's line.
function check.fail(message, ...)
  error(select("#", ...) > 0 and message:format(...) or message, user_level())
end

--- A value in a message: a string with its quotes, so that "3" is not 3.
function check.show(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

--- Where the app author's running line is: "apps/hello/app.lua:12".
function check.where()
  local info = debug.getinfo(user_level(), "Sl")
  return ("%s:%d"):format(info.source:sub(2), info.currentline)
end

function check.type(what, position, value, expected, description)
  if type(value) == expected then return end
  check.fail("%s: argument %d is %s, not %s", what, position, description, type(value))
end

--- Unknown keys are errors that name the nearest known one.
function check.options(options, known)
  for key in pairs(options) do
    local is_known = false
    for _, name in ipairs(known) do is_known = is_known or key == name end
    if not is_known then
      local nearest = native.nearest(tostring(key), known)
      check.fail('unknown option "%s" (did you mean "%s"?)', tostring(key), nearest)
    end
  end
end

function check.field(options, name, expected)
  local value = options[name]
  if value == nil or type(value) == expected then return end
  check.fail('option "%s" is a %s, not a %s', name, expected, type(value))
end

--- Calls a function in C whose errors are the app author's.
function check.call(fn, ...)
  local ok, result = pcall(fn, ...)
  if ok then return result end
  if type(result) ~= "string" then error(result, 0) end
  check.fail("%s", (result:gsub("^[^\n]-%.lua:%d+: ", "")))
end

--- The object of a method that was called with a colon.
function check.self(self, class, name)
  if getmetatable(self) == class then return self end
  check.fail("%s.%s was called with a dot: use a colon (%s:%s)", class.__name, name, class.__name,
    name)
end

--- Gives a class methods that are called with a colon.
---@param class table with __name
---@param methods table name to function
function check.methods(class, methods)
  for name, fn in pairs(methods) do
    class[name] = function(self, ...)
      check.self(self, class, name)
      return fn(self, ...)
    end
  end
end

return check
