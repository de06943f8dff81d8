-- test.lua - `require "perilune.test"`: an app under test, served in this process over real HTTP.
--
-- The app is loaded fresh into the spec's own state, so stand-ins and counters in upvalues work;
-- its blocking functions run on a pool of its own, background functions on loops of its own.
-- Several clients may be open: each has its app and its modules to itself; a clock they share.

local app_module = require "perilune.app"
require "perilune.test.assertions"
local check = require "perilune.check"
local checks = require "perilune.test.checks"
local clock = require "perilune.test.clock"
local cookies = require "perilune.test.cookies"
local directory = require "perilune.test.directory"
local environment = require "perilune.test.environment"
local events = require "perilune.test.events"
local native = require "perilune.native.service"
local requests = require "perilune.test.requests"
local runner = require "perilune.runner"
local serving = require "perilune.test.serving"
local shutdown = require "perilune.test.shutdown"
local tasks = require "perilune.test.tasks"

local test = {}

local Client = { __name = "client" }
Client.__index = Client

local known_options = { "clock", "settings", "env", "dir", "checks", "stall_limit" }

local function absolute(dir)
  if dir:sub(1, 1) == "/" then return dir end
  return runner.dir .. "/" .. dir
end

local function check_clock(kind)
  if kind == nil then return end
  for _, known in ipairs(clock.kinds) do
    if kind == known then return end
  end
  check.fail('option "clock" is "real", "virtual" or "auto", not "%s"', kind)
end

local function check_env(env)
  for name, value in pairs(env or {}) do
    local is_name = type(name) == "string" and name ~= "" and not name:find "[=%z]"
    if not is_name then check.fail('option "env": %s is no name of a variable', tostring(name)) end
    if type(value) ~= "string" and value ~= false then
      check.fail('option "env": %s is a string, or false where it is to be missing, not a %s',
        name, type(value))
    end
  end
end

local function check_options(options)
  check.options(options, known_options)
  check.field(options, "clock", "string")
  check.field(options, "settings", "table")
  check.field(options, "env", "table")
  check.field(options, "dir", "boolean")
  check_clock(options.clock)
  check_env(options.env)
  checks.check_options(options)
end

--- The settings of the app under test with those of the option over them; nil: there are none.
local function merge_settings(over)
  if not over then return nil end
  local merged = native.settings()
  for name, value in pairs(over) do merged[name] = value end
  return merged
end

--- What is there besides the app is put back.
local function tidy_up(client)
  environment.unset(client)
  if client.chosen.dir then directory.remove(client.dir) end
end

--- An open client on a clock that does not go by itself in real time, or nil.
local function find_clocked()
  for other in pairs(runner.clients) do
    if other.clock then return other end
  end
end

--- The kind of clock that a client gets: that of the others, which the spec lives on.
local function choose_clock(kind)
  local other = find_clocked()
  if not other then return kind or "real" end
  if kind and kind ~= other.chosen.clock then
    check.fail('option "clock": a test client with clock = "%s" is open, and all share one clock',
      other.chosen.clock)
  end
  return other.chosen.clock
end

local function new_client(app, dir, options)
  local chosen = {}
  for name, value in pairs(options) do chosen[name] = value end
  chosen.clock = choose_clock(options.clock)
  local client = setmetatable({ given = app, dir = dir, chosen = chosen }, Client)
  client.now = function()
    return client.clock and client.clock:now() or os.time()
  end
  client.cookies = cookies.new(client.now)
  return client
end

local function open(client)
  local options = client.chosen
  local has_clock = options.clock ~= "real"
  local settings = merge_settings(options.settings)
  local service = check.call(native.open, client.dir, has_clock, settings)
  client.clock = has_clock and clock.new(service) or nil
  client.service = service
  local ok, err = pcall(serving.start, client, service)
  if ok then return end
  client.service = nil
  pcall(serving.stop, client, service) -- what fails now is in the log
  service:destroy()
  error(err == nil and "the app did not load" or err, 0)
end

--- Serves an app (default: the one under test) on a free loopback port.
---@param app_or_dir table|string|nil an app, or a directory relative to the one under test
---@param options table|nil { clock = "real" | "virtual" | "auto", settings = over conf.lua's,
--- env = variables, dir = true for a temporary copy of the directory, stall_limit = seconds,
--- checks = false, or { files = false, ... }: those that are not wanted }
---@return table client
---@usage local client = test.client { clock = "auto" }
function test.client(app_or_dir, options)
  local app
  if app_module.is_app(app_or_dir) then
    app, app_or_dir = app_or_dir, nil
  elseif type(app_or_dir) == "table" and options == nil then
    app_or_dir, options = nil, app_or_dir
  end
  options = options == nil and {} or options
  if app_or_dir ~= nil then
    check.type("test.client", 1, app_or_dir, "string", "an app or an app's directory")
  end
  check.type("test.client", 2, options, "table", "a table of options")
  check_options(options)
  local dir = app_or_dir and absolute(app_or_dir) or runner.dir
  local client = new_client(app, dir, options)
  if options.dir then client.dir = directory.copy(dir) end
  environment.set(client, options.env)
  local ok, err = pcall(open, client)
  checks.skip_stall()
  if ok then
    checks.add_client(client)
    return client
  end
  tidy_up(client)
  error(err, 0)
end

local function check_open(client)
  if not client.service then check.fail("this test client is closed") end
end

for _, method in ipairs { "get", "post", "put", "patch", "delete", "head", "options" } do
  Client[method] = function(self, path, options)
    check.self(self, Client, method)
    check_open(self)
    return requests.send(self, method:upper(), path, options)
  end
end

--- Iterates over the events of a stream: { event=, data=, id=, retry= }. Leaving the loop ends it.
---@param path string
---@param options table|nil as for client:get
---@usage for event in client:events "/feed" do print(event.data) end
function Client:events(path, options)
  check.self(self, Client, "events")
  check_open(self)
  local sent = {}
  for name, value in pairs(options or {}) do sent[name] = value end
  sent.stream = true
  local res = requests.send(self, "GET", path, sent)
  local kind = res.headers["content-type"] or "nothing"
  if res.status ~= 200 or not kind:find "^text/event%-stream" then
    res:close()
    check.fail("client:events: %s answers %d with %s, not an event stream", path, res.status, kind)
  end
  return events.iterate(res)
end

--- Puts a function in the place of a task's, until the client is closed. One in the place of a
--- blocking function runs as a coroutine in the spec's state.
---@param client table
---@param name_or_fn string|function the task's name or its function
---@param fn function
---@usage test.replace(client, "send_welcome_email", function(email) sent = email end)
function test.replace(client, name_or_fn, fn)
  if getmetatable(client) ~= Client then
    check.fail("test.replace: argument 1 is a test client, not a %s", type(client))
  end
  check_open(client)
  tasks.replace(client, name_or_fn, fn)
end

--- Waits until every task that the app has scheduled has ended; a failed one fails the spec.
---@param timeout number|nil seconds in reality, 10
function Client:finish_tasks(timeout)
  check.self(self, Client, "finish_tasks")
  check_open(self)
  tasks.finish(self, timeout)
end

--- Takes the service away, and ends it by `stop(client, service, ...)`; gives what that gives.
local function close(client, stop, ...)
  local service = client.service
  client.service = nil
  checks.remove_client(client)
  local ok, result = pcall(stop, client, service, ...)
  checks.skip_stall()
  tidy_up(client)
  local other = find_clocked()
  if other then other.service:set_automatic(other.chosen.clock ~= "virtual") end
  if not ok then error(result, 0) end
  return result
end

--- Ends the app as SIGTERM ends a server: no more requests, what is in flight is answered within
--- drain_timeout, tasks that are not shielded are cancelled, shielded ones waited for, on_stop
--- runs; past shutdown_timeout what is left is interrupted. Both count on the client's clock. The
--- client is closed then.
---@param options table|nil { drain_timeout = seconds, shutdown_timeout = seconds }; else settings
---@return table totals scheduled, done, failed, cancelled, dropped, unfinished, shielded,
--- shielded_waited_s, cancelled_at, exit_code, and problem, when on_stop has failed
---@return integer exit_code 0, or 1: it has taken too long, or on_stop has failed
---@usage local totals, exit_code = client:shutdown { shutdown_timeout = 5 }
function Client:shutdown(options)
  check.self(self, Client, "shutdown")
  check_open(self)
  local limits = shutdown.check_options(self.service, options)
  local totals = close(self, function(client, service)
    local ok, result = pcall(shutdown.run, client, service, limits)
    if ok then return result end
    pcall(serving.stop, client, service) -- what fails now is in the log
    error(result, 0)
  end)
  return totals, totals.exit_code
end

--- Stops serving: connections are closed, tasks are cancelled, on_stop runs, the pools end.
function Client:close()
  check.self(self, Client, "close")
  if self.service then close(self, serving.stop) end
end

return test
