-- test/matching.lua - whether a value is as a spec expects it, and where it is not.
--
-- What is expected is a matcher of luassert, a table of which each field is expected of the value's
-- (it may have others), or the value itself.

local match = require "luassert.match"

local matching = {}

local DEPTH_MAX = 100

--- A value in a line: strings quoted, tables with their first fields.
local function show(value, depth)
  depth = depth or 0
  if match.is_matcher(value) then return "match." .. (value.name or "_") end
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" or depth > 2 or getmetatable(value) then return tostring(value) end
  local parts = {}
  for i, item in ipairs(value) do parts[i] = show(item, depth + 1) end
  local keys = {}
  for key in pairs(value) do
    local is_item = math.type(key) == "integer" and key >= 1 and key <= #parts
    if not is_item then keys[#keys + 1] = key end
  end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, key in ipairs(keys) do
    parts[#parts + 1] = ("%s = %s"):format(tostring(key), show(value[key], depth + 1))
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

matching.show = show

local function path_of(path, key)
  if type(key) == "string" then return path == "" and key or path .. "." .. key end
  return ("%s[%s]"):format(path, tostring(key))
end

--- Adds to `problems` what is not as it is expected, one line each.
---@param expected any
---@param value any
---@param path string what the value is called
---@param problems string[]
function matching.compare(expected, value, path, problems, depth)
  depth = depth or 0
  if match.is_matcher(expected) then
    if expected(value) then return end
  elseif type(expected) == "table" and type(value) == "table" and depth < DEPTH_MAX then
    for key, field in pairs(expected) do
      matching.compare(field, value[key], path_of(path, key), problems, depth + 1)
    end
    return
  elseif expected == value then
    return
  end
  problems[#problems + 1] = ("%s: expected %s, got %s"):format(path, show(expected), show(value))
end

return matching
