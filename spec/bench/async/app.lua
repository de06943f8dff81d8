-- app.lua - the workloads as Perilune's tasks: GET /NAME?seconds=N measures one.
--
-- The answer is a line for each figure, its name and value; nothing for a workload that there is
-- not; "missing NAME" where this Perilune has no such function yet. Each checks what its tasks did.

local async = require "perilune.async"
local measure = require "measure"
local perilune = require "perilune"

local SPAWNS, SWITCHES, VALUES, CALLS = 1000, 100000, 50000, 1000 -- of one batch
local MANY_TASKS, SLEEPERS, HOUR_S = 1000, 100000, 3600
local GATHERED, READY_LIMIT_S = 10, 10

local empty = measure.empty
local workloads = {}

--- The last task has ended when all have: they start in order, and `empty` does not wait.
function workloads.spawn(seconds)
  return measure.cost(seconds, SPAWNS, function()
    local last
    for _ = 1, SPAWNS do last = async.spawn(empty) end
    last:wait()
    assert(last.status == "done")
  end)
end

function workloads.spawn_wait(seconds)
  return measure.cost(seconds, SPAWNS, function()
    for _ = 1, SPAWNS do async.spawn(empty):wait() end
  end)
end

local function take_turns(seconds, tasks)
  local each = SWITCHES // tasks
  return measure.cost(seconds, SWITCHES, function()
    local done, last = 0, nil
    for _ = 1, tasks do
      last = async.spawn(function()
        for _ = 1, each do async.checkpoint() end
        done = done + each
      end)
    end
    last:wait()
    assert(done == SWITCHES)
  end)
end

function workloads.park(seconds) return take_turns(seconds, 2) end

function workloads.park_many(seconds) return take_turns(seconds, MANY_TASKS) end

function workloads.loop(seconds)
  return measure.cost(seconds, CALLS, function()
    for _ = 1, CALLS do async.sleep(0) end
  end)
end

local function hand_over(seconds, capacity)
  if not async.channel then return end
  return measure.cost(seconds, VALUES, function()
    local channel, sum = async.channel(capacity), 0
    async.spawn(function()
      for i = 1, VALUES do channel:send(i) end
      channel:close()
    end)
    for value in channel:each() do sum = sum + value end
    assert(sum == VALUES * (VALUES + 1) // 2)
  end)
end

function workloads.channel_0(seconds) return hand_over(seconds, 0) end

function workloads.channel_100(seconds) return hand_over(seconds, 100) end

function workloads.sleeping()
  local tasks, begun = measure.list(SLEEPERS), 0
  local function sleeper()
    begun = begun + 1
    async.sleep(HOUR_S)
  end
  local figures = measure.waiting(SLEEPERS, function()
    for i = 1, SLEEPERS do tasks[i] = async.spawn(sleeper) end
    while begun < SLEEPERS do async.checkpoint() end
  end, function()
    for i = 1, SLEEPERS do tasks[i]:cancel() end
    pcall(tasks[SLEEPERS].wait, tasks[SLEEPERS])
  end)
  for i = 1, SLEEPERS do assert(tasks[i].status == "cancelled") end
  return figures
end

function workloads.event(seconds)
  if not async.event then return end
  return measure.cost(seconds, 2 * CALLS, function()
    local ping, pong, count = async.event(), async.event(), 0
    local other = async.spawn(function()
      for _ = 1, CALLS do
        ping:wait()
        ping:clear()
        count = count + 1
        pong:set()
      end
    end)
    for _ = 1, CALLS do
      ping:set()
      pong:wait()
      pong:clear()
    end
    other:wait()
    assert(count == CALLS)
  end)
end

function workloads.gather(seconds)
  local functions = {}
  for i = 1, GATHERED do functions[i] = empty end
  return measure.cost(seconds, CALLS, function()
    for _ = 1, CALLS do async.gather(functions) end
  end)
end

function workloads.timeout(seconds)
  return measure.cost(seconds, CALLS, function()
    for _ = 1, CALLS do async.timeout(READY_LIMIT_S, empty) end
  end)
end

function workloads.context(seconds)
  local context = perilune.context
  context.user, context.tenant, context.trace = "ann", "acme", 1
  local cost = measure.cost(seconds, SPAWNS, function()
    local last
    for i = 1, SPAWNS do last = async.spawn(function() context.trace = i end) end
    last:wait()
  end)
  assert(context.trace == 1)
  return cost
end

local app = perilune.app { name = "async bench" }

app:get("/{name}", function(req)
  local name = req.params.name
  local workload = workloads[name]
  if not workload then return "" end
  local figures = workload(tonumber(req.query.seconds))
  if not figures then return ("missing %s\n"):format(name) end
  return measure.text(name, figures)
end)

return app
