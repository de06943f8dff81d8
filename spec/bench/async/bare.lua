-- bare.lua - the workloads with Lua's own coroutines, resumed from a loop: no scheduler, no loop.
--
--   lua5.4 spec/bench/async/bare.lua NAME SECONDS
--
-- Prints a line for each figure, nothing for a workload that it does not have. The collector is
-- set to what a state of the library has (incremental); the interpreter would choose another.

package.path = arg[0]:match "^(.*)/[^/]+$" .. "/?.lua"

local measure = require "measure"

local SPAWNS, SWITCHES, VALUES = 1000, 100000, 50000 -- of one batch
local MANY_TASKS, SLEEPERS = 1000, 100000

local create, resume, status = coroutine.create, coroutine.resume, coroutine.status
local close, yield = coroutine.close, coroutine.yield
local empty = measure.empty
local workloads = {}

function workloads.spawn(seconds)
  return measure.cost(seconds, SPAWNS, function()
    local co
    for _ = 1, SPAWNS do
      co = create(empty)
      resume(co)
    end
    assert(status(co) == "dead")
  end)
end

function workloads.spawn_queue(seconds)
  local queue = measure.list(SPAWNS)
  return measure.cost(seconds, SPAWNS, function()
    for i = 1, SPAWNS do queue[i] = create(empty) end
    for i = 1, SPAWNS do resume(queue[i]) end
    assert(status(queue[SPAWNS]) == "dead")
  end)
end

function workloads.spawn_reused(seconds)
  local count = 0
  local co = create(function(body)
    while true do
      body()
      count = count + 1
      body = yield()
    end
  end)
  return measure.cost(seconds, SPAWNS, function()
    count = 0
    for _ = 1, SPAWNS do resume(co, empty) end
    assert(count == SPAWNS)
  end)
end

local function take_turns(seconds, tasks)
  local each = SWITCHES // tasks
  local list = measure.list(tasks)
  return measure.cost(seconds, SWITCHES, function()
    local done = 0
    for i = 1, tasks do
      list[i] = create(function()
        for _ = 1, each do yield() end
        done = done + each
      end)
    end
    for _ = 0, each do
      for i = 1, tasks do resume(list[i]) end
    end
    assert(done == SWITCHES)
  end)
end

function workloads.park(seconds) return take_turns(seconds, 2) end

function workloads.park_many(seconds) return take_turns(seconds, MANY_TASKS) end

--- A ring of values between two coroutines; each yields where it would have to wait.
local function hand_over(seconds, capacity)
  return measure.cost(seconds, VALUES, function()
    local ring, taken, put, sum = {}, 0, 0, 0
    local producer = create(function()
      for i = 1, VALUES do
        while put - taken == capacity do yield() end
        put = put + 1
        ring[put % capacity] = i
      end
    end)
    local consumer = create(function()
      while taken < VALUES do
        while put == taken do yield() end
        taken = taken + 1
        sum = sum + ring[taken % capacity]
      end
    end)
    while status(consumer) ~= "dead" do
      resume(producer)
      resume(consumer)
    end
    assert(sum == VALUES * (VALUES + 1) // 2)
  end)
end

function workloads.channel_0(seconds) return hand_over(seconds, 1) end

function workloads.channel_100(seconds) return hand_over(seconds, 100) end

function workloads.sleeping()
  local list, begun = measure.list(SLEEPERS), 0
  local function sleeper()
    begun = begun + 1
    yield()
  end
  local figures = measure.waiting(SLEEPERS, function()
    for i = 1, SLEEPERS do
      list[i] = create(sleeper)
      resume(list[i])
    end
    assert(begun == SLEEPERS)
  end, function()
    for i = 1, SLEEPERS do close(list[i]) end
  end)
  for i = 1, SLEEPERS do assert(status(list[i]) == "dead") end
  return figures
end

collectgarbage "incremental"
local name, seconds = arg[1], tonumber(arg[2])
local workload = workloads[name]
if not workload then return end
io.write(measure.text(name, workload(seconds)))
