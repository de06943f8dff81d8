-- app.lua - tasks of all kinds that the end of the server meets, for shields_spec.lua.
--
-- What they do is in the log: "note ..." lines. /load schedules them, the tasks that begin say so.

local perilune = require "perilune"
local async = require "perilune.async"
local log = require "perilune.log"

local app = perilune.app { name = "shields", pools = { tasks = { threads = 1 } } }

local function note(...) log.info("note " .. table.concat({ ... }, " ")) end

--- Runs for so long without a wait, so that only an interruption ends it.
local function compute(seconds)
  local from = async.now()
  repeat local now = async.now() until now - from >= seconds
end

local function pay(seconds)
  note "payment begins"
  async.sleep(seconds)
  note "paid"
end

local pay_blocking = perilune.blocking(function(name, seconds)
  log.info("note begins " .. name)
  compute(seconds)
  log.info("note ends " .. name)
end)

local function fail() error("no such account", 0) end
local function gather_inside()
  async.gather({ async.sleep, 0.1 }, { async.sleep, 0.2 })
  note "gathered"
end

app:get("/load", function(req)
  local tasks = req.tasks
  local shield = tasks:task { shield = true }
  shield:schedule(pay, 0.3)
  shield:schedule(gather_inside)
  shield:task { name = "retried", retries = 2, backoff = { initial = 0.05 },
    on_error = function(task)
      async.sleep(0.05)
      note("told of", task.name, "after", task.attempt)
    end }:schedule(fail)
  for i = 1, 3 do shield:schedule(pay_blocking, "shielded" .. i, 0.1) end
  tasks:schedule(async.sleep, 1000)
  tasks:task { on_cancel = function(_, reason) note("on_cancel", reason) end }:schedule(pay, 1000)
  tasks:schedule(pay_blocking, "plain", 1000)
  tasks.after_response:task { shield = true }:schedule(note, "after the response")
  return "loaded"
end)

app:get("/late", function(req)
  req.tasks:task { shield = true }:schedule(function()
    note "waits for the end"
    local tasks, ok, err = req.tasks, true, nil
    while ok do
      async.sleep(0.01)
      ok, err = pcall(tasks.schedule, tasks, note, "nothing")
    end
    note("refused", err.kind, tostring(err))
  end)
  return "late"
end)

--- One that waits, one that computes on the loop once the response is out, one in the pool.
app:get("/endless", function(req)
  local shield = req.tasks.after_response:task { shield = true }
  shield:task { name = "waits" }:schedule(pay, 1000)
  shield:task { name = "in_pool" }:schedule(pay_blocking, "endless", 1000)
  return "endless"
end)

app:get("/computes", function(req)
  req.tasks.after_response:task { shield = true, name = "computes" }:schedule(function()
    note "computes"
    compute(1000)
  end)
  return "computes"
end)

return app
