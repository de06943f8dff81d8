-- clock - an app that waits for time in every way, for the specs of virtual clocks.
--
-- What happens is written to a list that each answer gives; the specs compare it with the times.

local async = require "perilune.async"
local perilune = require "perilune"
local process = require "perilune.process"

local app = perilune.app { name = "clock" }
local started

local function since() return math.floor((async.now() - started) * 1000 + 0.5) / 1000 end

app:on_start(function() started = async.now() end)

app:get("/sleep/{seconds:float}", function(req)
  async.sleep(req.params.seconds)
  return { at = since() }
end)

app:get("/now", function() return { at = since() } end)

local sleep_in_pool = perilune.blocking(function(seconds)
  local before = async.now()
  async.sleep(seconds)
  return async.now() - before
end)

app:get("/pool/{seconds:float}", function(req)
  return { slept = sleep_in_pool(req.params.seconds), at = since() }
end)

local compute_in_pool = perilune.blocking(function(steps)
  local sum = 0
  for i = 1, steps do sum = sum + i % 7 end
  return sum
end)

-- The time limit is far below what the computation takes in reality, on any machine.
app:get("/compute/{steps:int}", function(req)
  local outcome = async.settle(
    function() return async.timeout(1e-6, compute_in_pool, req.params.steps) end,
    function() return compute_in_pool(1) end)
  return { ok = outcome[1].ok, at = since() }
end)

local run_in_pool = perilune.blocking(function(seconds)
  return process.run({ "sleep", seconds }).code
end)

local sleep_on_loop = perilune.background("naps", function(seconds)
  local before = async.now()
  async.sleep(seconds)
  return async.now() - before
end)

app:get("/loop/{seconds:float}", function(req)
  return { slept = sleep_on_loop(req.params.seconds), at = since() }
end)

app:get("/timeout/{seconds:float}", function(req)
  local ok, err = pcall(async.timeout, req.params.seconds, async.sleep, 10 * req.params.seconds)
  return { ok = ok, kind = err.kind, at = since() }
end)

app:get("/limited", { timeout = 600 }, function()
  async.sleep(3600)
  return "too late"
end)

app:get("/waits", function()
  local event, channel = async.event(), async.channel(1)
  local is_set = pcall(event.wait, event, 100)
  local has_received = pcall(channel.receive, channel, 200)
  return { is_set = is_set, has_received = has_received, at = since() }
end)

local attempts = {}

local function fail_thrice()
  attempts[#attempts + 1] = since()
  if #attempts < 4 then error("attempt " .. #attempts) end
end

app:post("/retries", function(req)
  attempts = {}
  local task = req.tasks:task { retries = 3, backoff = { initial = 600, max = 3600 } }
    :schedule(fail_thrice)
  task:wait()
  return { attempts = attempts, at = since() }
end)

app:post("/delayed", function(req)
  local ran = {}
  local function run(name) ran[#ran + 1] = { name = name, at = since() } end
  local last = req.tasks:task { delay = 30 }:schedule(run, "c")
  req.tasks:task { delay = 10 }:schedule(run, "a")
  req.tasks:task { delay = 20 }:schedule(run, "b")
  last:wait()
  return ran
end)

--- Timers that are due at the same time, in several threads: they fire in the order of starting.
app:get("/order", function()
  local order = {}
  local function note(name, sleep, seconds)
    sleep(seconds)
    order[#order + 1] = name
  end
  async.gather(
    { note, "pool 5", sleep_in_pool, 5 },
    { note, "loop 3", sleep_on_loop, 3 },
    { note, "here 4", async.sleep, 4 },
    { note, "pool 2", sleep_in_pool, 2 },
    { note, "here 1", async.sleep, 1 })
  return order
end)

--- Real work is waited for: the program, and the pool thread with one, end before any time passes.
app:get("/programs", function()
  local first = async.race(
    function() return process.run { "sleep", "0.05" } end,
    function() async.sleep(0.001) end)
  local second = async.race(
    function() return run_in_pool "0.05" end,
    function() async.sleep(0.001) end)
  return { first, second }
end)

local ticks = 0

app:every(60, function() ticks = ticks + 1 end)

app:get("/ticks", function() return { ticks = ticks } end)

app:get("/events", function()
  return perilune.sse({ keep_alive = 15 }, function(send)
    for i = 1, 3 do
      async.sleep(20)
      send { data = ("%d at %g"):format(i, since()) }
    end
  end)
end)

return app
