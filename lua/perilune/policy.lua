-- policy.lua - what an app adds to every response: app:headers and app:cors.
--
-- Options are checked here, at the app author's line, and recorded in app.policy as C reads them
-- (src/roles/app_policy.c): { fields = { { name, value }, ... }, cors = { origins = list,
-- methods =, headers =, exposed = (each one text), credentials =, max_age = } }.

local check = require "perilune.check"
local native = require "perilune.native.app"

local policy = {}

local cors_options = { "origins", "methods", "headers", "expose", "credentials", "max_age" }
local methods = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" }
local usual_methods = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" }
local MAX_AGE_S, MAX_AGE_MAX_S = 600, 2 ^ 31 - 1

--- Headers that say what one response is.
local is_of_one_response = {
  ["content-type"] = true, ["content-encoding"] = true, ["content-range"] = true,
  ["etag"] = true, ["last-modified"] = true, ["location"] = true,
}

local function check_open(app, name)
  if app.is_loaded then check.fail("app:%s is called while the app loads, not later", name) end
  app.policy = app.policy or { fields = {}, source = check.where() }
  return app.policy
end

local function refuse_cors_field(name)
  check.fail("header \"%s\" is written by app:cors: use its options", name)
end

local function is_cors_field(name)
  return name:lower():find "^access%-control%-allow%-" ~= nil
end

--- Refuses those of mounted apps: what all responses have is for the app that is served to say.
---@param app table loaded, with all its apps in app.apps
function policy.check_mounted(app)
  for _, mounted in ipairs(app.apps) do
    if mounted ~= app and mounted.policy then
      error(("%s: app:headers and app:cors are for every response of the server, so a mounted "
        .. "app cannot call them: call them on the app that is served")
        :format(mounted.policy.source), 0)
    end
  end
end

--- Takes fields of that name away; a later app:headers says it anew.
local function remove_field(fields, name)
  for i = #fields, 1, -1 do
    if fields[i][1]:lower() == name:lower() then table.remove(fields, i) end
  end
end

local function check_field(recorded, name, value)
  if type(name) ~= "string" then check.fail("header names are strings, not a %s", type(name)) end
  if is_of_one_response[name:lower()] then
    check.fail("header \"%s\" belongs to one response, not to all", name)
  end
  if recorded.cors and is_cors_field(name) then refuse_cors_field(name) end
  local list = type(value) == "table" and value or { value }
  for _, each in ipairs(list) do
    if type(each) ~= "string" and type(each) ~= "number" then
      check.fail("header \"%s\" is a %s, not a string, a number or a list of them", name,
        type(each))
    end
    check.call(native.check_header, name, tostring(each))
  end
  return list
end

--- Adds headers to every response of the app, those made without Lua included.
---@param app table
---@param headers table name to value, or to a list of values
function policy.headers(app, headers)
  check.type("app:headers", 1, headers, "table", "a table of name to value")
  local recorded = check_open(app, "headers")
  local checked, names = {}, {}
  for name, value in pairs(headers) do
    checked[name] = check_field(recorded, name, value)
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    remove_field(recorded.fields, name)
    for _, value in ipairs(checked[name]) do
      recorded.fields[#recorded.fields + 1] = { name, tostring(value) }
    end
  end
end

-- --- CORS ---------------------------------------------------------------------------------------

--- A text or a list of texts, as a list.
local function list_option(options, name, default)
  local value = options[name]
  if value == nil then return default end
  local list = type(value) == "string" and { value } or value
  if type(list) ~= "table" then
    check.fail('option "%s" is a %s, not a string or a list of strings', name, type(value))
  end
  for key, each in pairs(list) do
    if math.type(key) ~= "integer" or type(each) ~= "string" then
      check.fail('option "%s" is a string or a list of strings', name)
    end
  end
  return list
end

local function has_star(list)
  for _, text in ipairs(list) do if text == "*" then return true end end
  return false
end

local function read_origins(options)
  local origins = list_option(options, "origins", {})
  if #origins == 0 then
    check.fail('app:cors needs origins, such as { "https://example.com" } or "*"')
  end
  for _, origin in ipairs(origins) do
    local problem = native.check_origin(origin)
    if problem then check.fail('origin "%s": %s', origin, problem) end
    if options.credentials and (origin == "*" or origin == "null") then
      check.fail('origin "%s" cannot go with credentials: name the origins', origin)
    end
  end
  return origins
end

local function read_methods(options)
  local list = list_option(options, "methods", usual_methods)
  if has_star(list) then return table.concat(methods, ", ") end
  local result = {}
  for i, name in ipairs(list) do
    result[i] = name:upper()
    if not (" " .. table.concat(methods, " ") .. " "):find(" " .. result[i] .. " ", 1, true) then
      check.fail("%s is no method for a route: use %s", name, table.concat(methods, ", "))
    end
  end
  return table.concat(result, ", ")
end

--- Names of headers as one text, "*" when it is among them.
local function read_names(options, name)
  local list = list_option(options, name, {})
  if has_star(list) then return "*" end
  for _, each in ipairs(list) do
    if not each:find "^[%w!#$%%&'*+.^_`|~-]+$" then
      check.fail('option "%s": "%s" is no name of a header', name, each)
    end
  end
  return table.concat(list, ", ")
end

local function read_max_age(options)
  local seconds = options.max_age == nil and MAX_AGE_S or options.max_age
  local whole = math.tointeger(seconds)
  if type(seconds) == "number" and whole and whole >= 0 and whole <= MAX_AGE_MAX_S then
    return whole
  end
  check.fail('option "max_age" is a whole number of seconds, not %s', check.show(seconds))
end

--- Says which other origins' pages may use the app (the Fetch standard's CORS protocol).
---@param app table
---@param options table { origins=, methods=, headers=, expose=, credentials=, max_age= }
function policy.cors(app, options)
  check.type("app:cors", 1, options, "table", "a table of options")
  check.options(options, cors_options)
  check.field(options, "credentials", "boolean")
  local recorded = check_open(app, "cors")
  if recorded.cors then check.fail("app:cors was called before, at %s", recorded.cors.source) end
  for _, field in ipairs(recorded.fields) do
    if is_cors_field(field[1]) then refuse_cors_field(field[1]) end
  end
  local exposed = read_names(options, "expose")
  if exposed == "*" and options.credentials then
    check.fail('expose = "*" does not go with credentials: name the headers')
  end
  recorded.cors = {
    origins = read_origins(options), methods = read_methods(options),
    headers = read_names(options, "headers"), exposed = exposed,
    credentials = options.credentials or false, max_age = read_max_age(options),
    source = check.where(),
  }
end

return policy
