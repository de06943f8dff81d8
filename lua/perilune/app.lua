-- app.lua - the app object: its routes, and loading it from its directory.
--
-- An app only records what it is told; the route table is built in C from app.routes once the app
-- has loaded (src/roles/route_table.c), and paths are checked there.

local check = require "perilune.check"
local native = require "perilune.native.app"
local policy = require "perilune.policy"
local route_options = require "perilune.route_options"
local static = require "perilune.static"

local app = {}

local App = { __name = "app" }
App.__index = App

local app_options = { "name", "pools" }
local methods = { "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS" }
local is_method = {}
for _, name in ipairs(methods) do is_method[name] = true end

--- A new app.
---@param options table|nil { name=, pools= }
---@return table app
---@usage local app = perilune.app { name = "hello" }
function app.new(options)
  options = options == nil and {} or options
  check.type("perilune.app", 1, options, "table", "a table of options")
  check.options(options, app_options)
  check.field(options, "name", "string")
  check.field(options, "pools", "table")
  return setmetatable({
    name = options.name, pools = options.pools, dir = (native.directory()),
    settings = native.settings(), routes = {},
  }, App)
end

local function check_methods(list)
  if type(list) == "string" then list = { list } end
  check.type("app:route", 1, list, "table", "a method or a list of methods")
  local result = {}
  for i, name in ipairs(list) do
    local upper = type(name) == "string" and name:upper() or name
    if not is_method[upper] then
      check.fail("%s is no method for a route: use %s", tostring(name), table.concat(methods, ", "))
    end
    result[i] = upper
  end
  if #result == 0 then check.fail("app:route needs at least one method") end
  return result
end

--- Records a route for each of the methods.
---@param list string|string[] methods
---@param path string pattern, as "/users/{id:int}"
---@param options table|function of the route (route_options.lua), may be left out
---@param handler function|nil
function App:route(list, path, options, handler)
  check.self(self, App, "route")
  if self.is_loaded then check.fail("routes are added while the app loads, not later") end
  if handler == nil then options, handler = {}, options end
  if type(path) ~= "string" then check.fail("a path is a string, not a %s", type(path)) end
  if type(options) ~= "table" then
    check.fail("options come before the handler, as a table, not a %s", type(options))
  end
  local checked = route_options.check(options)
  route_options.check_callable(("the handler of %s"):format(path), handler)
  local marked, pool = native.marked(handler)
  local source = check.where()
  for _, method in ipairs(check_methods(list)) do
    self.routes[#self.routes + 1] = {
      method = method, pattern = path, handler = handler, source = source, name = checked.name,
      blocking = marked ~= nil, pool = pool, timeout_ms = checked.timeout_ms,
      body_bytes_max = checked.body_bytes_max, stream_body = checked.stream_body,
      cancel_on_disconnect = checked.cancel_on_disconnect,
    }
  end
end

for _, method in ipairs(methods) do
  App[method:lower()] = function(self, ...)
    check.self(self, App, method:lower())
    return App.route(self, method, ...)
  end
end

--- A route for every method.
function App:any(...)
  check.self(self, App, "any")
  return App.route(self, methods, ...)
end

--- Adds headers to every response.
---@param headers table name to value, or to a list of values
---@usage app:headers { ["X-Frame-Options"] = "DENY" }
function App:headers(headers)
  check.self(self, App, "headers")
  policy.headers(self, headers)
end

--- Says which other origins' pages may use the app.
---@param options table { origins=, methods=, headers=, expose=, credentials=, max_age= }
---@usage app:cors { origins = { "https://example.com" }, credentials = true }
function App:cors(options)
  check.self(self, App, "cors")
  policy.cors(self, options)
end

--- Serves the files of a directory below a path, behind the routes.
---@param prefix string
---@param dir string relative to the app's directory
---@param options table|nil { headers=, max_age=, immutable=, dotfiles= }
---@usage app:static("/assets", "assets", { max_age = 3600 })
function App:static(prefix, dir, options)
  check.self(self, App, "static")
  static.add(self, prefix, dir, options)
end

--- Loads app.lua of the directory that this state serves.
---@return table app
function app.load_directory()
  local _, shown = native.directory()
  local result = native.load_file("app.lua")()
  if getmetatable(result) == App then
    result.is_loaded = true
    return result
  end
  local what = result == nil and "nothing: end it with `return app`"
    or ("a %s, not an app made by perilune.app"):format(type(result))
  error(("%s/app.lua returns %s"):format(shown, what), 0)
end

return app
