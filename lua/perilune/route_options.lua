-- route_options.lua - the options of a route: which there are, and what they may be.
--
-- Groups, routers and mounts take those that many routes may share. What comes out is what the
-- route table in C reads (src/roles/route_table.c): milliseconds and bytes. What is reserved for
-- later releases is an error that says so.

local check = require "perilune.check"

local route_options = {}

local known = {
  "name", "timeout", "max_body", "stream_body", "cancel_on_disconnect", "middleware",
}
local reserved = { "body", "query", "summary", "tags" }
local inherited = { "timeout_ms", "body_bytes_max", "stream_body", "cancel_on_disconnect" }

local TIMEOUT_MS_MAX = 0xFFFFFFFF
local BYTES_MAX = math.maxinteger
local suffix_bits = { [""] = 0, k = 10, m = 20, g = 30 }

local function check_timeout(seconds)
  if seconds == nil then return nil end
  if type(seconds) ~= "number" or seconds <= 0 or seconds ~= seconds then
    check.fail('option "timeout" is a number of seconds above 0, not %s', check.show(seconds))
  end
  return math.tointeger(math.ceil(math.min(seconds * 1000, TIMEOUT_MS_MAX)))
end

--- A number of bytes: 65536, or "64k", "20m", "1g".
local function check_bytes(value)
  if value == nil then return nil end
  if type(value) == "string" then
    local digits, suffix = value:lower():match "^(%d+)([kmg]?)$"
    local count = digits and math.tointeger(tonumber(digits))
    local bits = suffix_bits[suffix]
    if count and count <= BYTES_MAX >> bits then return count << bits end
  elseif math.type(value) == "integer" and value >= 0 then
    return value
  end
  check.fail('option "max_body" is a number of bytes (65536 or "20m"), not %s', check.show(value))
end

--- What a function that runs for requests may be: a function, or a table that can be called.
---@param what string how a message names it
function route_options.check_callable(what, value)
  if type(value) == "function" then return end
  local class = getmetatable(value)
  if type(class) == "table" and class.__call then return end
  if value == nil then
    check.fail("%s is nil, not a function: is its name right, and is it defined above?", what)
  end
  check.fail("%s is a %s, not a function: give the function itself, without calling it", what,
    type(value))
end

local function check_middleware(list)
  if list == nil then return {} end
  if type(list) ~= "table" then
    check.fail('option "middleware" is a list of functions, not a %s', type(list))
  end
  local result = {}
  for key in pairs(list) do
    if math.type(key) ~= "integer" or key < 1 or key > #list then
      check.fail('option "middleware" is a list of functions; it has the key %s', tostring(key))
    end
  end
  for i, fn in ipairs(list) do
    route_options.check_callable(("middleware %d"):format(i), fn)
    result[i] = fn
  end
  return result
end

--- Checks the options of a route, or of what has routes.
---@param options table as the app's author wrote them
---@param names string[]|nil those it may have; default: all of a route
---@return table checked name, middleware (a list), and what routes inherit
function route_options.check(options, names)
  for _, name in ipairs(reserved) do
    if options[name] ~= nil then
      check.fail('option "%s" is reserved for a later release', name)
    end
  end
  check.options(options, names or known)
  check.field(options, "name", "string")
  check.field(options, "stream_body", "boolean")
  check.field(options, "cancel_on_disconnect", "boolean")
  return {
    name = options.name,
    timeout_ms = check_timeout(options.timeout),
    body_bytes_max = check_bytes(options.max_body),
    stream_body = options.stream_body,
    cancel_on_disconnect = options.cancel_on_disconnect,
    middleware = check_middleware(options.middleware),
  }
end

--- What routes get of checked options, over what those around them gave.
---@param outer table|nil
---@param options table checked
---@return table inherited
function route_options.inherit(outer, options)
  local result = {}
  for _, name in ipairs(inherited) do
    result[name] = options[name]
    if result[name] == nil and outer then result[name] = outer[name] end
  end
  return result
end

return route_options
