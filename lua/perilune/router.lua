-- router.lua - recording routes, groups, mounts, middleware and error handlers.
--
-- Apps, routers and groups are recorders: they have the same methods and only note what they are
-- told, in the order of writing. resolve.lua makes the list of routes of it once the app has
-- loaded, so what is written later counts too, wherever it was mounted before.

local check = require "perilune.check"
local native = require "perilune.native.app"
local route_options = require "perilune.route_options"

local router = {}

local Router = { __name = "router" }
Router.__index = Router
local Group = { __name = "group" }
Group.__index = Group

local shared_options = {
  "timeout", "max_body", "stream_body", "cancel_on_disconnect", "middleware",
}
local router_options = { "prefix", table.unpack(shared_options) }
local mount_options = { "name", table.unpack(shared_options) }

local http_methods = { "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS" }
local is_method = {}
for _, name in ipairs(http_methods) do is_method[name] = true end

local recorders = { [Router] = true, [Group] = true }

--- The fields of a recorder.
local function begin(options)
  return { parts = {}, middleware = options.middleware, rescuers = { by_kind = {} },
    shared = options }
end

local function check_loading(self)
  if self.is_loaded then
    check.fail("routes and what belongs to them are added while the app loads, not later")
  end
end

--- "" and "/" are no prefix; else it begins with "/" and does not end with one.
local function check_prefix(prefix)
  if type(prefix) ~= "string" then check.fail("a prefix is a string, not a %s", type(prefix)) end
  if prefix == "" or prefix == "/" then return "" end
  if prefix:sub(1, 1) ~= "/" or prefix:sub(-1) == "/" then
    check.fail('the prefix "%s" does not begin with "/", or ends with one', prefix)
  end
  return prefix
end

local function check_methods(list)
  if type(list) == "string" then list = { list } end
  check.type("route", 1, list, "table", "a method or a list of methods")
  local result, seen = {}, {}
  for i, name in ipairs(list) do
    local upper = type(name) == "string" and name:upper() or name
    if not is_method[upper] then
      check.fail("%s is no method for a route: use %s", tostring(name),
        table.concat(http_methods, ", "))
    end
    if seen[upper] then check.fail("the method %s is listed twice", upper) end
    seen[upper] = true
    result[i] = upper
  end
  if #result == 0 then check.fail("a route needs at least one method") end
  return result
end

--- The options and what stands behind them. `require "x"` as the last argument gives the path of
--- the file, too, which is none of ours.
local function split(options, last)
  if last == nil or (type(last) == "string" and type(options) ~= "string") then
    return {}, options
  end
  return options, last
end

local function check_options(options)
  if type(options) == "table" then return options end
  check.fail("options come before the handler, as a table, not a %s", type(options))
end

local methods = {}

--- Records a route for each of the methods.
---@param list string|string[] methods
---@param path string pattern, as "/users/{id:int}"
---@param options table|function of the route (route_options.lua), may be left out
---@param handler function|nil
function methods.route(self, list, path, options, handler)
  check_loading(self)
  options, handler = split(options, handler)
  if type(path) ~= "string" then check.fail("a path is a string, not a %s", type(path)) end
  if path ~= "" and path:sub(1, 1) ~= "/" then
    check.fail('the path "%s" does not begin with "/"', path)
  end
  local colon, rest = path:match "/:(%a[%w_]*)([^/]*)"
  if colon and rest == "" then
    check.fail('the path "%s": a parameter is written {%s}, not :%s', path, colon, colon)
  end
  local checked = route_options.check(check_options(options))
  route_options.check_callable(("the handler of %s"):format(path), handler)
  local marked, kind, place = native.marked(handler)
  self.parts[#self.parts + 1] = {
    kind = "route", methods = check_methods(list), path = path, handler = handler,
    source = check.where(), options = checked,
    where = marked and (kind == "pool" and "blocking(%s)" or "background(%s)"):format(place),
  }
end

--- Middleware for every route of this recorder, also for those written before.
---@param fn function fn(req, proceed), or a blocking fn(req)
---@usage app:use(function(req, proceed) return proceed():header("x-served-by", "me") end)
function methods.use(self, fn, ...)
  check_loading(self)
  local count = select("#", ...)
  if count > 1 or (count == 1 and type(...) ~= "string") then
    check.fail("use takes one function; call it for each")
  end
  route_options.check_callable("middleware", fn)
  self.middleware[#self.middleware + 1] = fn
end

--- Answers instead of the default 500, for errors of this recorder's routes.
---@param kind string|function the err.kind it is for; left out: all
---@param fn function|nil fn(req, err): gives what a handler may give, or nothing
function methods.on_error(self, kind, fn)
  check_loading(self)
  if fn == nil and type(kind) ~= "string" then kind, fn = nil, kind end
  if kind ~= nil and type(kind) ~= "string" then
    check.fail("a kind of error is a string, not a %s", type(kind))
  end
  route_options.check_callable("on_error's handler", fn)
  local list, key = self.rescuers.by_kind, kind
  if not kind then list, key = self.rescuers, "any" end
  if list[key] then
    check.fail("on_error for %s is there already, at %s",
      kind and ('kind "%s"'):format(kind) or "all kinds", list[key].source)
  end
  list[key] = { fn = fn, source = check.where() }
end

--- Routes below a prefix.
---@param prefix string
---@param options table|function shared by its routes, may be left out
---@param fn function|nil fn(group): writes them
---@usage app:group("/admin", { middleware = { only_admins } }, function(g) g:get("", list) end)
function methods.group(self, prefix, options, fn)
  check_loading(self)
  options, fn = split(options, fn)
  prefix = check_prefix(prefix)
  if type(fn) ~= "function" then
    check.fail("group takes a function that writes its routes, not a %s", type(fn))
  end
  local group = begin(route_options.check(check_options(options), shared_options))
  setmetatable(group, Group)
  self.parts[#self.parts + 1] = {
    kind = "group", prefix = prefix, recorder = group, source = check.where(),
    options = { middleware = {} },
  }
  fn(group)
end

--- The routes of a router or of another app, below a prefix.
---@param prefix string
---@param options table { name=, middleware=, ... }, may be left out; a name goes before those of
--- the routes: "v1" makes "v1.user" of "user"
---@param mounted table router or app
function methods.mount(self, prefix, options, mounted)
  check_loading(self)
  options, mounted = split(options, mounted)
  prefix = check_prefix(prefix)
  local class = getmetatable(mounted)
  if not recorders[class] or class == Group then
    check.fail("mount takes a prefix and a router or an app, not a %s", type(mounted))
  end
  self.parts[#self.parts + 1] = {
    kind = "mount", prefix = prefix, recorder = mounted, source = check.where(),
    options = route_options.check(check_options(options), mount_options),
  }
end

for _, name in ipairs(http_methods) do
  methods[name:lower()] = function(self, ...) return methods.route(self, name, ...) end
end

--- A route for every method.
function methods.any(self, ...) return methods.route(self, http_methods, ...) end

--- Gives a class of recorders its methods.
---@param class table with __name
function router.extend(class)
  recorders[class] = true
  check.methods(class, methods)
end

router.begin = begin

--- Routes for a module of the app, to be mounted.
---@param options table|nil { prefix=, middleware=, ... }
---@return table router
---@usage local users = perilune.router { prefix = "/users" }
function router.new(options)
  options = options == nil and {} or options
  check.type("perilune.router", 1, options, "table", "a table of options")
  local self = begin(route_options.check(options, router_options))
  self.prefix = check_prefix(options.prefix == nil and "" or options.prefix)
  self.source = check.where()
  return setmetatable(self, Router)
end

router.extend(Router)
router.extend(Group)

return router
