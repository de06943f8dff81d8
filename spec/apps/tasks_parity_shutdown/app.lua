-- tasks_parity_shutdown/app.lua - tasks that the end of the server meets.
--
-- They go on when the file ?gate= is there. What they do is in the log: "note ..." lines. The pool
-- of tasks has one thread, so that others wait in its queue.

local async = require "perilune.async"
local log = require "perilune.log"
local perilune = require "perilune"

local app = perilune.app { name = "shutdown", pools = { tasks = { threads = 1 } } }

local function note(...) log.info("note " .. table.concat({ ... }, " ")) end

local function is_open(gate)
  local file = io.open(gate)
  if file then file:close() end
  return file ~= nil
end

local function wait_at(gate, name)
  note(name, "begins")
  local _ <close> = setmetatable({}, { __close = function(_, err)
    note(name, err and "is cancelled" or "ends")
  end })
  while not is_open(gate) do async.sleep(0.001) end
end

local function compute(gate, name)
  log.info(("note %s begins"):format(name))
  while not is_open(gate) do end
  log.info(("note %s ends"):format(name))
end
local blocking_compute = perilune.blocking(compute)

local function fail_at(gate, name)
  wait_at(gate, name)
  error("no", 0)
end
local function tell_slowly(task)
  async.sleep(0.01)
  note("on_error of", task.args[2], "ends")
end
local blocking_tell = perilune.blocking(function(task)
  async.sleep(0.01)
  log.info(("note on_error of %s ends"):format(task.args[2]))
end)

app:get("/handler", function(req)
  local gate = req.query.gate
  req.tasks:schedule(wait_at, gate .. ".never", "plain")
  req.tasks:task { shield = true }:schedule(wait_at, gate .. ".shielded", "shielded")
  wait_at(gate, "handler")
  req.tasks.after_response:task { shield = true }:schedule(note, "scheduled while draining")
  return "answered"
end)

app:get("/timings", function(req)
  for _, timing in ipairs { "after_response", "after_route", "now" } do
    local tasks = timing == "now" and req.tasks or req.tasks[timing]
    tasks:task { shield = true }:schedule(wait_at, req.query.gate, timing)
  end
end)

app:get("/queue", function(req)
  local tasks = req.query.shield and req.tasks:task { shield = true } or req.tasks
  for i = 1, 3 do tasks:schedule(blocking_compute, req.query.gate, "queued" .. i) end
end)

app:get("/failing", function(req)
  for name, on_error in pairs { plain = tell_slowly, blocking = blocking_tell } do
    req.tasks:task { shield = true, on_error = on_error }:schedule(fail_at, req.query.gate, name)
  end
end)

local function clean_up(task)
  async.sleep(0.01)
  note("on_cancel of", task.args[2], "ends")
end
local function clean_up_computing(task)
  local due = async.now() + 0.05
  while async.now() < due do end
  note("on_cancel of", task.args[2], "ends")
end
local blocking_clean_up = perilune.blocking(function(task)
  async.sleep(0.01)
  log.info(("note on_cancel of %s ends"):format(task.args[2]))
end)

app:get("/cancelled", function(req)
  for name, on_cancel in pairs {
    plain = clean_up, computing = clean_up_computing, blocking = blocking_clean_up,
  } do
    req.tasks:task { on_cancel = on_cancel }:schedule(wait_at, req.query.gate, name)
  end
end)

app:get("/late", function(req)
  local tasks = req.tasks
  tasks:task { shield = true }:schedule(function()
    note "late begins"
    local ok, err
    repeat
      async.sleep(0.001)
      ok, err = pcall(tasks.schedule, tasks, async.checkpoint)
    until not ok
    note("refused:", err.kind)
  end)
end)

app:get("/many", function(req)
  for _ = 1, 1001 do req.tasks:task { shield = true }:schedule(async.checkpoint) end
end)

return app
