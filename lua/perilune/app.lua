-- app.lua - the app object, and loading it from its directory.
--
-- An app records its routes as routers do (router.lua); resolve.lua makes the list of them once
-- the app has loaded, and the route table is built of it in C (src/roles/route_table.c).

local chain = require "perilune.chain"
local check = require "perilune.check"
local hint = require "perilune.hint"
local hooks = require "perilune.hooks"
local native = require "perilune.native.app"
local policy = require "perilune.policy"
local resolve = require "perilune.resolve"
local route_options = require "perilune.route_options"
local router = require "perilune.router"
local static = require "perilune.static"
local url = require "perilune.url"

local app = {}

local App = { __name = "app" }
App.__index = App
router.extend(App)
check.methods(App, hooks.methods)

local app_options = { "name", "pools", "task_defaults" }
local pool_options = { "threads", "queue" }

local STATUS_MIN, STATUS_MAX, STATUS_ERROR = 400, 599, 500

local function check_pools(options)
  check.field(options, "pools", "table")
  for name, pool in pairs(options.pools or {}) do
    if type(name) ~= "string" or type(pool) ~= "table" then
      check.fail('option "pools" is a table of name to { threads = n, queue = n }')
    end
    check.options(pool, pool_options)
  end
end

--- A new app.
---@param options table|nil { name=, pools=, task_defaults= }
---@return table app
---@usage local app = perilune.app { name = "hello" }
function app.new(options)
  options = options == nil and {} or options
  check.type("perilune.app", 1, options, "table", "a table of options")
  check.options(options, app_options)
  check.field(options, "name", "string")
  check_pools(options)
  check.field(options, "task_defaults", "table")
  local self = router.begin { middleware = {} }
  self.name, self.pools, self.dir = options.name, options.pools, (native.directory())
  self.settings, self.source, self.status_handlers = native.settings(), check.where(), {}
  self.hooks, self.tasks = {}, native.scheduler()
  if options.task_defaults then
    self.tasks = check.call(self.tasks.task, self.tasks, options.task_defaults)
  end
  return setmetatable(self, App)
end

--- Answers instead of the server where no handler was found or could be run: 404, 405, 413, ...
--- Only the app that is served is asked, not those mounted in it: no route tells which is meant.
---@param status integer
---@param fn function fn(req): gives what a handler may give, or nothing for the default answer; its
--- status is `status` unless it says another one
---@usage app:on_status(404, function(req) return { missing = req.path } end)
function App:on_status(status, fn)
  check.self(self, App, "on_status")
  if self.is_loaded then check.fail("on_status is called while the app loads, not later") end
  if math.type(status) ~= "integer" or status < STATUS_MIN or status > STATUS_MAX then
    check.fail("on_status takes a status from 400 to 599, not %s", check.show(status))
  end
  if status == STATUS_ERROR then
    check.fail("500 is the answer for an error of a handler: use app:on_error")
  end
  route_options.check_callable("on_status's handler", fn)
  local other = self.status_handlers[status]
  if other then check.fail("on_status(%d) is there already, at %s", status, other.source) end
  self.status_handlers[status] = { fn = fn, source = check.where() }
end

--- The URL of the route with a name, as this app or router sees it; once the app has loaded.
---@param name string
---@param params table|nil of the path
---@param query table|nil name -> value or list of values
---@return string url from the root of the server on
---@usage app:url("user", { id = 7 }, { verbose = true }) --> "/users/7?verbose=true"
function App:url(name, params, query)
  check.self(self, App, "url")
  check.type("app:url", 1, name, "string", "the name of a route")
  if not self.names then check.fail("app:url works once the app has loaded") end
  local route = self.names[name]
  if not route then
    local known = {}
    for other in pairs(self.names) do known[#known + 1] = other end
    if #known == 0 then check.fail("no route of this app has a name") end
    check.fail('no route has the name "%s" (did you mean "%s"?)', name,
      native.nearest(name, table.move(known, 1, math.min(#known, 64), 1, {})))
  end
  if route.other then
    check.fail("this app is mounted more than once, so route %q is %s and %s: give the mounts"
      .. " names and use the outer app's url", name, route.other, route.pattern)
  end
  return url.build(name, route.pattern, params, query)
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

--- What app.lua returns. An error of a call that is its very last act, as in
--- `return perilune.app { nmae = "x" }`, has no line: it gets the file's name at least.
local function run_app_file(shown)
  local ok, result = xpcall(native.load_file("app.lua"), function(err)
    if type(err) ~= "string" or err:find "^[^\n]-:%d+: " then return hint(err) end
    return ("%s/app.lua: %s"):format(shown, err)
  end)
  if not ok then error(result, 0) end
  return result
end

---@return boolean
function app.is_app(value)
  return getmetatable(value) == App
end

--- Makes of what an app has recorded what is served; once.
function app.finish(result)
  if not result.statuses then
    result.statuses = {}
    for status, handler in pairs(result.status_handlers) do
      result.statuses[status] = chain.of_status(status, handler.fn)
    end
    resolve.app(result, result.statuses)
    policy.check_mounted(result)
  end
  native.loaded(result)
end

--- Loads app.lua of the directory that this state serves.
---@return table app
function app.load_directory()
  local _, shown = native.directory()
  local result = run_app_file(shown)
  if app.is_app(result) then
    app.finish(result)
    return result
  end
  local what = result == nil and "nothing"
    or ("a %s, not an app made by perilune.app"):format(type(result))
  error(("%s/app.lua returns %s: end it with `return app`"):format(shown, what), 0)
end

return app
