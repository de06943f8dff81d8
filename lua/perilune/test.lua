-- test.lua - `require "perilune.test"`: an app under test, served in this process over real HTTP.
--
-- The app is loaded fresh into the spec's own state, so stand-ins and counters in upvalues work;
-- its blocking functions run on a pool of its own, background functions on loops of
-- its own. One client at a time.

local app_module = require "perilune.app"
local check = require "perilune.check"
local clock = require "perilune.test.clock"
local tasks = require "perilune.test.tasks"
local http = require "perilune.http"
local life = require "perilune.life"
local native = require "perilune.native.service"
local runner = require "perilune.runner"
require "perilune.test.assertions"

local test = {}

local Client = { __name = "client" }
Client.__index = Client

local POLL_SECONDS = 0.001
local CLOSE_SECONDS = 5

local function absolute(dir)
  if dir:sub(1, 1) == "/" then return dir end
  return runner.dir .. "/" .. dir
end

--- Lets others run while it is so; raises `problem` when that takes too long.
local function wait_while(is_so, problem)
  local tries = math.ceil(CLOSE_SECONDS / POLL_SECONDS)
  while is_so() do
    tries = tries - 1
    if tries < 0 then error(problem, 0) end
    native.pause(POLL_SECONDS)
  end
end

--- Runs hooks of an app, as a task of it.
local function run_hooks(service, app, kind, ...)
  local text, err = service:spawn(life, kind, app, ...):wait()
  if text then error(err, 0) end
end

local function start_loops(service)
  service:start_loops()
  wait_while(function() return (service:has_busy_loops()) end, "background loops do not start")
  local _, problem = service:has_busy_loops()
  if problem then error(problem, 0) end
end

local function start(client, service)
  local app = app_module.load_directory()
  client.app = app
  service:prepare(app)
  tasks.watch(client, service)
  run_hooks(service, app, "on_state", "http", "http", 1)
  start_loops(service)
  run_hooks(service, app, "on_start")
  client.has_started = true
  run_hooks(service, app, "on_worker")
  run_hooks(service, app, "every")
  client.port = service:listen()
  client.url = ("http://127.0.0.1:%d"):format(client.port)
  service:set_automatic(client.options.clock ~= "virtual")
end

--- Cancels what is left of an app, on its loops and in its pools too, and waits for its end.
local function end_tasks(service)
  wait_while(function()
    service:cancel()
    return service:has_tasks()
  end, "tasks of this client do not end")
  service:settle_loops()
  wait_while(function() return (service:has_busy_loops()) end, "background loops do not end")
  service:settle()
  wait_while(function() return service:has_calls() end, "calls of this client do not end")
  service:resume_loops()
end

--- Ends the background loops with their hooks.
local function stop_loops(service)
  service:stop_loops()
  wait_while(function() return (service:has_busy_loops()) end, "background loops do not stop")
  local _, problem = service:has_busy_loops()
  if problem then error(problem, 0) end
end

--- Time goes on by itself meanwhile.
local function stop(client, service)
  service:set_automatic(true)
  service:close()
  local has_answered, problem = pcall(wait_while, function() return service:has_requests() end,
    "requests of this client were still running")
  end_tasks(service)
  local has_stopped, err = true, nil
  if client.has_started then
    has_stopped, err = pcall(run_hooks, service, client.app, "on_stop")
    end_tasks(service)
  end
  local have_ended, loop_problem = pcall(stop_loops, service)
  service:destroy()
  if not has_answered then error(problem, 0) end
  if not has_stopped then error(err, 0) end
  if not have_ended then error(loop_problem, 0) end
end

local known_options = { "clock" }

local function check_options(options)
  check.options(options, known_options)
  check.field(options, "clock", "string")
  if not options.clock then return end
  for _, kind in ipairs(clock.kinds) do
    if options.clock == kind then return end
  end
  check.fail('option "clock" is "real", "virtual" or "auto", not "%s"', options.clock)
end

--- Serves an app (default: the one under test) on a free loopback port.
---@param dir string|nil its directory, relative to the one under test
---@param options table|nil { clock = "real" | "virtual" | "auto" }
---@return table client
---@usage local client = test.client { clock = "auto" }
function test.client(dir, options)
  if type(dir) == "table" and options == nil then dir, options = nil, dir end
  options = options == nil and {} or options
  if dir ~= nil then check.type("test.client", 1, dir, "string", "an app's directory") end
  check.type("test.client", 2, options, "table", "a table of options")
  check_options(options)
  local has_clock = options.clock == "virtual" or options.clock == "auto"
  local service = native.open(dir and absolute(dir) or runner.dir, has_clock)
  local client = setmetatable({ options = options }, Client)
  if has_clock then client.clock = clock.new(service) end
  client.service = service
  local ok, err = pcall(start, client, service)
  if ok then return client end
  client.service = nil
  pcall(stop, client, service) -- what fails now is in the log
  service:destroy()
  error(err == nil and "the app did not load" or err, 0)
end

for _, method in ipairs { "get", "post", "put", "patch", "delete", "head", "options" } do
  if http[method] then
    Client[method] = function(self, path, options)
      check.self(self, Client, method)
      return http[method](self.url .. path, options)
    end
  end
end

local function check_open(client)
  if not client.service then check.fail("this test client is closed") end
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

--- Stops serving: connections are closed, tasks are cancelled, on_stop runs, the pools end.
function Client:close()
  check.self(self, Client, "close")
  local service = self.service
  self.service = nil
  if service then stop(self, service) end
end

return test
