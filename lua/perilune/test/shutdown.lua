-- test/shutdown.lua - `client:shutdown()`: the end of an app under test, as a server has it.
--
-- The steps and limits are those of a server that gets SIGTERM (src/server_generation.c). Limits
-- count on the client's clock, which goes on by itself meanwhile, from timer to timer. What holds
-- it still (files, processes, code in the pools) has REAL_SECONDS of real time, or the rest of the
-- limit if that is longer.

local check = require "perilune.check"
local life = require "perilune.life"
local native = require "perilune.native.service"
local serving = require "perilune.test.serving"

local shutdown = {}

local POLL_SECONDS = 0.001
local REAL_SECONDS = 10
local DAY_SECONDS = 24 * 60 * 60

local known_options = { "drain_timeout", "shutdown_timeout" }

--- Checks the options; gives the seconds of each limit.
function shutdown.check_options(service, options)
  options = options == nil and {} or options
  check.type("client:shutdown", 1, options, "table", "a table of options")
  check.options(options, known_options)
  for _, name in ipairs(known_options) do
    local value = options[name]
    local is_right = value == nil
      or math.type(value) and value >= 0 and value <= DAY_SECONDS
    if not is_right then
      check.fail('option "%s" is a number of seconds, 0 to %d, not %s', name, DAY_SECONDS,
        tostring(value))
    end
  end
  local drain, all = service:limits()
  return { drain = options.drain_timeout or drain, all = options.shutdown_timeout or all }
end

--- Lets time pass until it is so, `due` is reached, or what holds the clock still takes too long.
--- Gives whether it is so.
local function wait_until(ending, is_so, due)
  local service = ending.service
  while not is_so() do
    local left = due - service:time()
    if left <= 0 then return false end
    if not ending.has_clock then
      native.pause(POLL_SECONDS)
    else
      local limit = math.max(left, REAL_SECONDS)
      if not service:advance(0, limit) then return is_so() end
      if is_so() then break end
      service:step(left, limit)
    end
  end
  return true
end

--- Waits until it is so. Past the limit what is left is interrupted, and has a grace to end in.
local function finish(ending, is_so, problem)
  if not ending.is_overdue then
    if wait_until(ending, is_so, ending.due) then return end
    ending.is_overdue = true
    ending.service:set_automatic(true)
    ending.service:interrupt()
  end
  serving.wait_while(function() return not is_so() end, problem)
end

local function finish_tasks(ending)
  local service = ending.service
  finish(ending, function()
    service:cancel_left()
    return not service:has_tasks() and not service:has_exchanges()
  end, "tasks of this client do not end")
end

--- Waits until what was begun with the loops has come to its end.
local function finish_loops(ending)
  local service = ending.service
  finish(ending, function()
    if ending.is_overdue then service:interrupt() end
    return not service:has_busy_loops()
  end, "background loops do not end")
end

--- What still runs on the loops and in the pools when nothing runs here any more.
local function finish_calls(ending)
  local service = ending.service
  service:settle_loops()
  finish_loops(ending)
  service:settle()
  finish(ending, function() return not service:has_calls() end, "calls of this client do not end")
  service:resume_loops()
end

--- The first problem is the one that is told.
local function note_problem(ending, problem)
  ending.problem = ending.problem or problem
end

local function run_hooks(ending, client)
  local task = ending.service:spawn(life, "on_stop", client.app)
  client.has_started = false
  finish(ending, function() return task.status ~= "waiting" and task.status ~= "running" end,
    "on_stop does not end")
  local ok, problem = pcall(task.wait, task)
  if not ok or problem then note_problem(ending, tostring(problem)) end
end

local function stop_loops(ending)
  local service = ending.service
  service:stop_loops()
  finish_loops(ending)
  local _, problem = service:has_busy_loops()
  note_problem(ending, problem)
end

--- Ends a served app and destroys its service.
---@return table what the last line of a server's log has, with `exit_code`; `problem`: what was
--- wrong with a hook on_stop
function shutdown.run(client, service, limits)
  local begun = service:time()
  local ending = { service = service, has_clock = client.clock ~= nil, due = begun + limits.all }
  service:set_automatic(false)
  service:drain()
  wait_until(ending, function() return not service:has_exchanges() end,
    math.min(begun + limits.drain, ending.due))
  service:close()
  service:refuse_tasks()
  finish_tasks(ending)
  local waited = service:time() - begun
  serving.wait_while(function() return service:has_requests() end,
    "connections of this client do not close")
  finish_calls(ending)
  run_hooks(ending, client)
  finish_tasks(ending)
  finish_calls(ending)
  stop_loops(ending)
  local totals = service:totals()
  service:destroy()
  totals.shielded_waited_s = totals.shielded > 0 and waited or 0
  totals.exit_code = (ending.is_overdue or ending.problem) and 1 or 0
  totals.problem = ending.problem
  return totals
end

return shutdown
