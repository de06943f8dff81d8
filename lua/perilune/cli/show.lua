-- show.lua - a value as text for a prompt: tables with what is in them, in a stable order.
--
-- It is for reading, not for loading again: deep, long and repeated tables are cut.

local DEPTH_MAX, ENTRIES_MAX = 4, 100

local function rank(key)
  return type(key) == "number" and 1 or type(key) == "string" and 2 or 3
end

local function is_before(a, b)
  if rank(a) ~= rank(b) then return rank(a) < rank(b) end
  if rank(a) == 3 then return tostring(a) < tostring(b) end
  return a < b
end

local function show_key(key)
  if type(key) == "string" and key:find "^[%a_][%w_]*$" then return key end
  return "[" .. (type(key) == "string" and ("%q"):format(key) or tostring(key)) .. "]"
end

local show

local function show_table(value, depth, above)
  if above[value] or depth > DEPTH_MAX then return "{ ... }" end
  above[value] = true
  local keys, parts = {}, {}
  for key in next, value do keys[#keys + 1] = key end
  table.sort(keys, is_before)
  for i, key in ipairs(keys) do
    if i > ENTRIES_MAX then
      parts[i] = ("... %d more"):format(#keys - ENTRIES_MAX)
      break
    end
    local text = show(value[key], depth + 1, above)
    parts[i] = key == i and text or ("%s = %s"):format(show_key(key), text)
  end
  above[value] = nil
  return #parts == 0 and "{}" or "{ " .. table.concat(parts, ", ") .. " }"
end

function show(value, depth, above)
  if type(value) == "string" then return (("%q"):format(value):gsub("\\\n", "\\n")) end
  if type(value) ~= "table" then return tostring(value) end
  local class = getmetatable(value)
  if type(class) == "table" and class.__tostring then return tostring(value) end
  return show_table(value, depth, above)
end

---@param value any
---@return string
return function(value)
  return show(value, 1, {})
end
