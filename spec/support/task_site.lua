-- task_site.lua - a fixture app whose handlers are functions of the spec, and what its tasks do.
--
-- task_site.open(name) serves spec/apps/NAME in the spec's own state: the app has `handler`,
-- `events` and `reset`. One at a time; who opens one closes it.

local async = require "perilune.async"
local site = require "support.site"
local wait = require "support.wait"

local task_site = { TIMINGS = { "now", "after_route", "after_response" } }

local Site = {}
Site.__index = Site

--- Serves an app of spec/apps.
function task_site.open(name)
  local client = site.open(name)
  return setmetatable({ client = client, app = client.app, port = client.port }, Site)
end

--- A gate that tasks wait at: gate.wait(...) gives its arguments once gate.open was called.
function task_site.gate()
  local event = async.event()
  return {
    open = function() event:set() end,
    wait = function(...)
      event:wait()
      return ...
    end,
  }
end

--- The scheduler of one of TIMINGS.
function task_site.timed(tasks, timing)
  return timing == "now" and tasks or tasks[timing]
end

--- Raises an error as it is: a task that fails.
function task_site.fail(err) error(err, 0) end

--- Lets all that is ready run, a few times.
function task_site.settle()
  for _ = 1, 5 do async.checkpoint() end
end

--- A task once it has ended.
function task_site.ended(task)
  return wait.wait_until(function()
    return task.status ~= "waiting" and task.status ~= "running" and task
  end, nil, "the end of a task")
end

function Site:close() self.client:close() end

--- Answers a request (GET /do unless said) with a handler: the response.
function Site:handle(handler, path)
  self.app.handler = handler
  return self.client:get(path or "/do")
end

--- Handles a request whose handler schedules a function for a timing, with options: the task.
function Site:schedule(timing, options, fn, ...)
  local arguments, task = table.pack(...), nil
  self:handle(function(req)
    local tasks = task_site.timed(req.tasks, timing)
    if options then tasks = tasks:task(options) end
    task = tasks:schedule(fn, table.unpack(arguments, 1, arguments.n))
  end)
  return task
end

--- The same, and waits for the task's end.
function Site:run(timing, options, fn, ...)
  return task_site.ended(self:schedule(timing, options, fn, ...))
end

--- Schedules three tasks for a timing, which note their numbers, and lets the last end first: the
--- starts and the ends that there were.
function Site:run_three(timing)
  local gates, ends = {}, {}
  self:handle(function(req)
    for i = 1, 3 do
      gates[i] = task_site.gate()
      task_site.timed(req.tasks, timing):schedule(function()
        self.app.note(i)
        gates[i].wait()
        ends[#ends + 1] = i
      end)
    end
  end)
  local starts = { table.unpack(self:events(3)) }
  for i = 3, 1, -1 do
    gates[i].open()
    task_site.settle()
  end
  return starts, ends
end

--- Until so many events have been noted; then lets others run a little more.
function Site:events(count)
  local app = self.app
  wait.wait_until(function() return #app.events >= count end, nil, function()
    return ("%d events: %s"):format(count, table.concat(app.events, ", "))
  end)
  task_site.settle()
  return app.events
end

--- Notes A now, B after the handler, C behind the response; scheduled in the opposite order.
function Site:schedule_three(tasks)
  tasks.after_response:schedule(self.app.note, "C")
  tasks.after_route:schedule(self.app.note, "B")
  tasks:schedule(self.app.note, "A")
end

return task_site
