-- app.lua - an endpoint that schedules no task, and those that schedule as many as are asked for.
--
-- What they have done is told by the server's metrics. When there are too many blocking ones the
-- endpoint schedules no more and answers all the same.

local async = require "perilune.async"
local perilune = require "perilune"

local app = perilune.app { name = "bench" }

local done = 0

local function work() done = done + 1 end
local blocking_work = perilune.blocking(function() done = done + 1 end)

local function schedule(tasks, count, fn)
  for _ = 1, count do tasks:schedule(fn) end
end

app:get("/none", function() return "Hello, World!" end)

app:get("/coroutine/{count:int}", function(req)
  schedule(req.tasks, req.params.count, work)
  return "Hello, World!"
end)

app:get("/blocking/{count:int}", function(req)
  local is_scheduled, err = pcall(schedule, req.tasks, req.params.count, blocking_work)
  assert(is_scheduled or err.kind == "full", err)
  return "Hello, World!"
end)

app:get("/waiting/{count:int}", function(req)
  schedule(req.tasks, req.params.count, function() async.sleep(3600) end)
  return "Hello, World!"
end)

return app
