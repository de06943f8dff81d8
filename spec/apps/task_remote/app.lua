-- app.lua - tasks that are handed to blocking functions, which wait for them and cancel them.
--
-- For task_remote_spec.lua.

local perilune = require "perilune"
local async = require "perilune.async"
local json = require "perilune.json"

local app = perilune.app { name = "task_remote", pools = { other = { threads = 2 } } }

local LONG = 60

local function kind_of(err) return type(err) == "table" and err.kind or nil end

local function sleeper() async.sleep(LONG) end

--- What a task looks like here.
local function tell(task)
  return { id = task.id, name = task.name, status = task.status, late = task.late,
    args = json.array(table.pack(table.unpack(task.args, 1, task.args.n))),
    text = tostring(task), kind = type(task), nothing = task.unknown == nil }
end

local blocking = {}
blocking.tell = perilune.blocking(tell)
blocking.cancel = perilune.blocking(function(task, reason) task:cancel(reason) end)
blocking.wait = perilune.blocking(function(task, timeout)
  local results = table.pack(pcall(task.wait, task, timeout))
  local err = not results[1] and results[2] or nil
  return { ok = results[1], n = results.n,
    results = json.array(table.pack(table.unpack(results, 2, results.n))),
    error = err and tostring(err), kind = kind_of(err), status = task.status,
    error_kept = task.error ~= nil, results_kept = task.results ~= nil }
end)
blocking.wait_twice = perilune.blocking(function(task)
  return { task:wait(), (task:wait()) }
end)
blocking.give_back = perilune.blocking(function(task) return task, { task } end)
blocking.forward = perilune.blocking({ pool = "other" }, function(task) task:cancel "from afar" end)
blocking.nested = perilune.blocking(function(task) blocking.forward(task) end)
blocking.own = perilune.blocking(function()
  local task = async.spawn(sleeper)
  async.checkpoint()
  task:cancel "here"
  return { kind = kind_of(select(2, pcall(task.wait, task))) }
end)
blocking.keep = perilune.blocking(function()
  local task = async.spawn(sleeper)
  return task
end)
blocking.misuse = perilune.blocking(function(task)
  local said = {}
  local function try(name, ...) said[name] = tostring(select(2, pcall(...))) end
  try("wait", task.wait)
  try("cancel", task.cancel)
  try("limit", task.wait, task, "soon")
  try("reason", task.cancel, task, {})
  return said
end)
blocking.orphan = perilune.blocking(function(task)
  local waiter = async.spawn(task.wait, task)
  async.checkpoint()
  waiter:cancel()
  return kind_of(select(2, pcall(waiter.wait, waiter)))
end)
blocking.fail = perilune.blocking(function(task)
  task:wait()
end)

app:get("/tell", function()
  local task = async.spawn(sleeper, "argument", io.stdout)
  async.checkpoint()
  local told = blocking.tell(task)
  told.is_same = told.id == task.id
  task:cancel()
  return told
end)

app:get("/cancel/{when}", function(req)
  local task = async.spawn(sleeper)
  if req.params.when ~= "before" then async.checkpoint() end
  if req.params.when == "twice" then blocking.cancel(task, "first") end
  if req.params.when == "nested" then
    blocking.nested(task)
  else
    blocking.cancel(task, "from the pool")
  end
  local _, err = pcall(task.wait, task, LONG / 2)
  if req.params.when == "after" then blocking.cancel(task, "again") end
  return { status = task.status, error = tostring(err) }
end)

local bodies = {
  results = function() return 1, nil, { 2 }, nil end,
  nothing = function() end,
  later = function()
    async.sleep(0.01)
    return "later"
  end,
  error = function() error { code = 7, kind = "mine" } end,
  cancelled = function() async.sleep(LONG) end,
}
app:get("/wait/{body}", function(req)
  local task = async.spawn(bodies[req.params.body])
  if req.params.body == "cancelled" then task:cancel "enough" end
  return blocking.wait(task)
end)

app:get("/wait_ended", function()
  local task = async.spawn(function() return "done" end)
  task:wait()
  return blocking.wait_twice(task)
end)

app:get("/timeout", function()
  local task = async.spawn(sleeper)
  async.checkpoint()
  local seen = blocking.wait(task, 0.01)
  seen.after = task.status
  task:cancel()
  return seen
end)

app:get("/give_back", function()
  local task = async.spawn(function() return 1 end)
  local same, list = blocking.give_back(task)
  return { same = same == task, listed = list[1] == task }
end)

app:get("/own", function() return blocking.own() end)

app:get("/gone", function()
  local task = blocking.keep()
  return { waited = pcall(task.wait, task), cancelled = pcall(task.cancel, task) }
end)

app:get("/misuse", function()
  local task = async.spawn(sleeper)
  local said = blocking.misuse(task)
  task:cancel()
  return said
end)

app:get("/orphan", function()
  local task = async.spawn(sleeper)
  local kind = blocking.orphan(task)
  task:cancel()
  pcall(task.wait, task)
  return kind
end)

app:get("/trail", function()
  local function culprit() error "boom" end
  local task = async.spawn(function()
    async.checkpoint()
    culprit()
  end)
  local outer = async.spawn(blocking.fail, task)
  pcall(outer.wait, outer)
  return outer.traceback
end)

return app
