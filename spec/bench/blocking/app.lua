-- app.lua - the workloads of blocking functions: GET /NAME?seconds=N measures one.
--
-- The answer is a line for each figure, its name and value. Each checks what its calls gave. The
-- other routes are what wrk asks for while the pool is busy.

local async = require "perilune.async"
local measure = require "measure"
local perilune = require "perilune"

local TRIPS, CALLERS, SAMPLES_MAX = 500, 64, 1e6
local ELEMENTS, KEYS, STRING_BYTES = 1000000, 100000, 10000000
local COMPUTING_CALLS, STEPS = 8, 20000000
local INTERRUPTS, TIMEOUT_S = 20, 0.05

local give_back = perilune.blocking(function(value) return value end)
local look_into = perilune.blocking(function(value, key) return #value, key and value[key] end)

local function compute(steps)
  local sum = 0
  for i = 1, steps do sum = (sum * 31 + i) % 1000003 end
  return sum
end

local crunch = perilune.blocking(compute)
local give_back_alone = perilune.blocking({ pool = "alone" }, function(value) return value end)
local compute_forever = perilune.blocking({ pool = "alone", timeout = TIMEOUT_S }, function()
  while true do end
end)
local workloads = {}

--- Megabytes a second of one copy to another state, where `bytes` counts as the value's size.
local function copied(seconds, bytes, value, len, key, element)
  local ns = measure.cost(seconds, 1, function()
    local len_there, element_there = look_into(value, key)
    assert(len_there == len and element_there == element)
  end)
  return bytes / ns * 1000
end

function workloads.array(seconds)
  local array = {}
  for i = 1, ELEMENTS do array[i] = i * 3 end
  return copied(seconds, ELEMENTS * 8, array, ELEMENTS, ELEMENTS, ELEMENTS * 3)
end

function workloads.table(seconds)
  local keyed, bytes = {}, 0
  for i = 1, KEYS do
    local key = "key " .. i
    keyed[key] = i
    bytes = bytes + #key + 8
  end
  return copied(seconds, bytes, keyed, 0, "key " .. KEYS, KEYS)
end

function workloads.string(seconds)
  local text = ("0123456789"):rep(STRING_BYTES // 10)
  return copied(seconds, STRING_BYTES, text, STRING_BYTES)
end

local function percentile(sorted, share) return sorted[math.max(1, math.ceil(#sorted * share))] end

--- One after the other.
function workloads.trip(seconds)
  local samples, first = {}, async.now()
  for _ = 1, TRIPS do assert(give_back(7) == 7) end
  repeat
    local begun = async.now()
    assert(give_back(7) == 7)
    samples[#samples + 1] = (async.now() - begun) * 1e6
  until async.now() - first >= seconds or #samples >= SAMPLES_MAX
  table.sort(samples)
  return { trip_p50 = percentile(samples, 0.5), trip_p99 = percentile(samples, 0.99) }
end

--- Calls a second of several callers at once.
function workloads.calls(seconds)
  local first, done = async.now(), 0
  local function call()
    repeat
      assert(give_back(7) == 7)
      done = done + 1
    until async.now() - first >= seconds
  end
  async.group(function(group)
    for _ = 1, CALLERS do group:spawn(call) end
  end)
  return done / (async.now() - first)
end

--- How many times as fast several computing calls are on the pool as in one thread.
function workloads.parallel()
  crunch(STEPS)
  local begun = async.now()
  crunch(COMPUTING_CALLS * STEPS)
  local alone = async.now() - begun
  local calls = {}
  for i = 1, COMPUTING_CALLS do calls[i] = { crunch, STEPS } end
  begun = async.now()
  async.gather(calls)
  return alone / (async.now() - begun)
end

--- Milliseconds from the timeout of a call that computes until its thread has run another one.
function workloads.interrupt()
  local samples = {}
  for i = 1, INTERRUPTS do
    give_back_alone(i)
    local due = async.now() + TIMEOUT_S
    local _, err = pcall(compute_forever)
    assert(err.kind == "timeout" and give_back_alone(i) == i)
    samples[i] = (async.now() - due) * 1000
  end
  table.sort(samples)
  return percentile(samples, 0.5)
end

local app = perilune.app { name = "bench", pools = { alone = { threads = 1 } } }

for name, workload in pairs(workloads) do
  app:get("/" .. name, function(req)
    return measure.text(name, workload(tonumber(req.query.seconds) or 1))
  end)
end

app:get("/plain", function() return "Hello, World!" end)

app:get("/sleep", perilune.blocking(function()
  async.sleep(0.02)
  return "slept"
end))

app:get("/crunch", perilune.blocking(function() return tostring(compute(STEPS // 10)) end))

return app
