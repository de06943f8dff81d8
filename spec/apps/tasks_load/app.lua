-- app.lua - bursts of tasks, each of which is counted when it runs.
--
-- A burst is one request that schedules many for all timings; /ended answers once all of it has
-- run, with what there was of lost and repeated ones.

local async = require "perilune.async"
local perilune = require "perilune"

local app = perilune.app { name = "tasks_load" }

local burst

local function run(of, number)
  if of.seen[number] then of.repeated = of.repeated + 1 end
  of.seen[number] = true
  of.ran = of.ran + 1
  if of.ran == of.count then of.ended:set() end
end

local function pause_and_run(of, number)
  async.checkpoint()
  run(of, number)
end

--- Schedules ?count tasks; every tenth waits once.
app:get("/burst", function(req)
  local tasks, count = req.tasks, tonumber(req.query.count)
  local timings = { tasks, tasks.after_route, tasks.after_response }
  burst = { count = count, ran = 0, repeated = 0, seen = {}, ended = async.event() }
  for i = 1, count do
    timings[i % 3 + 1]:schedule(i % 10 == 0 and pause_and_run or run, burst, i)
  end
end)

app:get("/ended", function()
  burst.ended:wait()
  async.checkpoint() -- what comes once more would come now
  local seen = 0
  for _ in pairs(burst.seen) do seen = seen + 1 end
  return { ran = burst.ran, repeated = burst.repeated, seen = seen }
end)

--- KiB of this state.
app:get("/memory", function()
  burst = nil
  collectgarbage()
  collectgarbage()
  return { count = collectgarbage "count" }
end)

--- Schedules ?count tasks that do not end before the handler has.
app:get("/refused", function(req)
  local count, kinds, kept = tonumber(req.query.count), {}, {}
  for _ = 1, count do
    local ok, result = pcall(req.tasks.schedule, req.tasks, async.sleep, 3600)
    if ok then kept[#kept + 1] = result else kinds[result.kind] = (kinds[result.kind] or 0) + 1 end
  end
  for _, task in ipairs(kept) do task:cancel() end
  return { scheduled = #kept, kinds = kinds }
end)

return app
