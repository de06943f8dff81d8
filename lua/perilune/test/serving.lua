-- test/serving.lua - the life of an app under test: loaded, started, stopped.
--
-- The order is that of a server: hooks on_state, loops, on_start, on_worker; at the end requests,
-- tasks, on_stop, loops. What is waited for here is waited for in real time.

local app_module = require "perilune.app"
local life = require "perilune.life"
local native = require "perilune.native.service"
local tasks = require "perilune.test.tasks"

local serving = {}

local POLL_SECONDS = 0.001
local CLOSE_SECONDS = 5

--- Lets others run while it is so; raises `problem` when that takes too long.
function serving.wait_while(is_so, problem)
  local tries = math.ceil(CLOSE_SECONDS / POLL_SECONDS)
  while is_so() do
    tries = tries - 1
    if tries < 0 then error(problem, 0) end
    native.pause(POLL_SECONDS)
  end
end

local wait_while = serving.wait_while

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

--- Loads and serves the app of a client, or the app object that it was given.
function serving.start(client, service)
  local app = client.given or app_module.load_directory()
  if client.given then app_module.finish(app) end
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
  service:set_automatic(client.chosen.clock ~= "virtual")
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
function serving.stop(client, service)
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

return serving
