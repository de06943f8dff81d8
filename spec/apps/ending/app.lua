-- ending - tasks, requests and hooks that the end of an app meets, for test_shutdown_spec.lua.
--
-- What has happened is in app.notes, in order.

local async = require "perilune.async"
local perilune = require "perilune"

local app = perilune.app { name = "ending" }

app.notes = {}

local function note(text) table.insert(app.notes, text) end

local function pay(seconds)
  async.sleep(seconds)
  note "paid"
end

local function nap(seconds)
  async.sleep(seconds) -- the line that is cancelled
  note "napped"
end

local function fail() error("no such account", 0) end

local nap_in_pool = perilune.blocking(function(seconds) async.sleep(seconds) end)

local compute_in_pool = perilune.blocking(function() while true do end end)

local nap_on_loop = perilune.background("side", function(seconds)
  async.running() -- a loop takes it
  async.sleep(seconds)
end)

local by_name = { pay = pay, nap = nap, fail = fail, nap_in_pool = nap_in_pool,
  compute_in_pool = compute_in_pool, nap_on_loop = nap_on_loop,
  wait_for_ever = function() async.channel():receive() end,
  schedule_late = function(tasks)
    async.sleep(5)
    local ok, err = pcall(tasks.schedule, tasks, note, "nothing")
    note(ok and "scheduled" or "refused: " .. err.kind)
  end,
}

app:post("/schedule/{name}", function(req)
  local seconds = tonumber(req.query.seconds)
  local options = { name = req.params.name, shield = req.query.shield == "true" or nil }
  if req.query.retries then
    options.retries = tonumber(req.query.retries)
    options.backoff = { initial = 60, max = 60 }
    options.on_error = function(task)
      async.sleep(60)
      note("told after " .. task.attempt)
    end
  end
  local argument = seconds
  if req.params.name == "schedule_late" then argument = req.tasks end
  req.tasks:task(options):schedule(by_name[req.params.name], argument)
  return 204
end)

app:get("/slow", function(req)
  note "slow begins"
  async.sleep(tonumber(req.query.seconds))
  note "slow ends"
  return "slow"
end)

app:get("/feed", function()
  return perilune.sse(function(send)
    while true do
      send "tick"
      async.sleep(1)
    end
  end)
end)

local how_to_stop = "well"

app:post("/stop/{how}", function(req)
  how_to_stop = req.params.how
  return 204
end)

app:on_stop(function()
  if how_to_stop == "badly" then error "the lights do not go out" end
  if how_to_stop == "never" then async.channel():receive() end
  async.sleep(1)
  note "stopped"
end)

return app
