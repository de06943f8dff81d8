-- url.lua - the URL of a route: its pattern with parameters put in, and a query (RFC 3986).
--
-- The opposite of what the router does: what url.build gives for a route matches that route and
-- gives the same parameters. Everything that would not is an error at the author's line.

local check = require "perilune.check"

local url = {}

local UUID = "^" .. ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12) .. "$"

local function encode_byte(byte) return ("%%%02X"):format(byte:byte()) end

--- Everything but the unreserved characters, and those in `kept` (a part of a Lua set).
local function encode(text, kept)
  return (text:gsub("[^%w%-%._~" .. kept .. "]", encode_byte))
end

local function fail(name, what, value)
  check.fail("url: parameter %q is %s, not %s", name, what, type(value) == "string"
    and ("%q"):format(value) or tostring(value))
end

--- A number in the shortest text that is the same number again.
local function number_text(value)
  if math.type(value) == "integer" then return tostring(value) end
  local text = ("%.15g"):format(value)
  return tonumber(text) == value and text or ("%.17g"):format(value)
end

local function text_of(name, value)
  if type(value) == "number" then return number_text(value) end
  if type(value) ~= "string" or value == "" then fail(name, "a text that is not empty", value) end
  return value
end

--- Clients take such segments out of a URL, however they are encoded.
local function check_segment(name, segment)
  if segment == "." or segment == ".." then
    check.fail('url: parameter %q has the segment %q, which clients take out', name, segment)
  end
  return segment
end

local converters = {}

function converters.text(name, value)
  return encode(check_segment(name, text_of(name, value)), "")
end

function converters.int(name, value)
  local number = value
  if type(value) == "string" then number = value:match "^%-?%d+$" and tonumber(value) end
  local integer = type(number) == "number" and math.tointeger(number)
  if not integer then fail(name, "a whole number of 64 bits", value) end
  return tostring(integer)
end

function converters.float(name, value)
  local number = value
  if type(value) == "string" then number = value:match "^%-?%d[%d%.eE+-]*$" and tonumber(value) end
  if type(number) ~= "number" or number ~= number or math.abs(number) == math.huge then
    fail(name, "a finite number", value)
  end
  return encode(number_text(number), "")
end

function converters.uuid(name, value)
  if type(value) ~= "string" or not value:match(UUID) then fail(name, "a UUID", value) end
  return value
end

function converters.path(name, value)
  local text = text_of(name, value)
  for segment in text:gmatch "[^/]+" do check_segment(name, segment) end
  return encode(text, "/")
end

local function put_params(name, pattern, params)
  local used = {}
  local path = pattern:gsub("([^{]*)(%b{})", function(literal, piece)
    local param, kind = piece:match "^{([^:}]*):?([^}]*)}$"
    local value = params[param]
    used[param] = true
    if value == nil then
      check.fail("url: route %q (%s) needs the parameter %q", name, pattern, param)
    end
    return encode(literal, "/!$&'()*+,;=:@") .. converters[kind == "" and "text" or kind](param,
      value)
  end)
  for param in pairs(params) do
    if not used[param] then
      check.fail("url: route %q (%s) has no parameter %q", name, pattern, tostring(param))
    end
  end
  return path
end

--- A pattern's literal text behind its last parameter has not been encoded by put_params.
local function put_last(pattern, path)
  local last = pattern:match "[^}]*$"
  return path:sub(1, #path - #last) .. encode(last, "/!$&'()*+,;=:@")
end

local function query_text(name, value)
  if type(value) == "number" then return encode(number_text(value), "") end
  if type(value) == "boolean" then return tostring(value) end
  if type(value) ~= "string" then
    check.fail("url: the query's %q is a %s, not a string, a number, a boolean or a list of them",
      name, type(value))
  end
  return encode(value, "")
end

local function query_of(query)
  local names, parts = {}, {}
  for name in pairs(query) do
    if type(name) ~= "string" then check.fail("url: a query is a table of name to value") end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local values = query[name]
    for _, value in ipairs(type(values) == "table" and values or { values }) do
      parts[#parts + 1] = encode(name, "") .. "=" .. query_text(name, value)
    end
  end
  return table.concat(parts, "&")
end

--- The path, with query, that leads to a route.
---@param name string for messages
---@param pattern string
---@param params table|nil
---@param query table|nil name -> value or list of values; sorted by name
---@return string url
function url.build(name, pattern, params, query)
  params, query = params == nil and {} or params, query == nil and {} or query
  check.type("url", 2, params, "table", "a table of parameters")
  check.type("url", 3, query, "table", "a table of the query")
  local path = put_last(pattern, put_params(name, pattern, params))
  local text = query_of(query)
  return text == "" and path or path .. "?" .. text
end

return url
