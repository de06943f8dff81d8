-- tasks_parity/app.lua - handlers of each kind, and functions for tasks of each kind.
--
-- What a plain handler does is a function of the spec, app.handler, as are the middleware of
-- /guarded and the stream of /stream. Blocking and background handlers do what app.scripts has of
-- that name. What plain tasks note is in app.events; those of other states write into files.

local async = require "perilune.async"
local context = require "perilune.context"
local perilune = require "perilune"

local inner = perilune.app { name = "inner", task_defaults = { name = "inner" } }
local app = perilune.app { name = "tasks_parity", task_defaults = { backoff = { initial = 0 } } }
local role

app:on_state(function(state) role = state.role end)

function app.reset()
  app.events, app.handler, app.guard, app.stream = {}, nil, nil, nil
end
app.reset()

function app.note(...) app.events[#app.events + 1] = table.concat({ ... }, " ") end
local note = app.note

local function where(...) return role, ... end
local function fail(err) error(err, 0) end
local function append(path, text)
  local file = assert(io.open(path, "a"))
  file:write(text, "\n")
  file:close()
end

--- Blocks its thread until the file is there.
local function await_file(path)
  local file = io.open(path)
  while not file do file = io.open(path) end
  file:close()
end

--- Says that it computes, and computes until the other one does, too.
local function meet(mine, other)
  append(mine, "here")
  await_file(other)
  return "met"
end

app.await_file, app.append, app.where = await_file, append, where
app.blocking, app.background = {}, {}
for name, fn in pairs {
  where = where, fail = fail, append = append, await_file = await_file, meet = meet,
  sleep = function(seconds) async.sleep(seconds) end,
  user = function() return context.user, context.request_id end,
  tell_error = function(task, err)
    append(task.args[2], ("%s %s %s"):format(task.name, task.status, tostring(err)))
  end,
} do
  app.blocking[name] = perilune.blocking({ name = "pool " .. name }, fn)
  app.background[name] = perilune.background("parity", { name = "loop " .. name }, fn)
end

local function schedule_three(tasks)
  tasks.after_response:schedule(note, "C")
  tasks.after_route:schedule(note, "B")
  tasks:schedule(note, "A")
  return role
end

app.scripts = {
  three = function(req) return schedule_three(req.tasks) end,
  current = function() return schedule_three(perilune.tasks) end,
  handles = function(req)
    local tasks = req.tasks
    local now = tasks:task { retries = 1 }:schedule(where, 1, nil)
    local later = tasks.after_route:schedule(note, "later")
    local status = later.status
    return { results = { now:wait() }, n = now.results.n, status = now.status, later = status,
      named = later.name, args = now.args.n }
  end,
  started = function(req)
    local later = req.tasks.after_response:schedule(where)
    local task = req.tasks:schedule(async.sleep, 60)
    local seen = { task.started:wait(), task.started:is_set(), later.started:is_set(), task.attempt,
      later.attempt }
    seen[#seen + 1] = select(2, pcall(later.started.wait, later.started, 0.01)).kind
    seen[#seen + 1] = select(2, pcall(task.started.wait)):match "use a colon"
    task:cancel()
    return seen
  end,
  fields = function(req)
    local task = req.tasks:task { name = "mine", retries = 1 }:schedule(where)
    task.progress = { 1, 2 }
    task:wait()
    local set = { pcall(function() task.status = "done" end) }
    return { same = task.fn == where, name = task.config.name, retries = task.config.retries,
      progress = task.progress, response = type(task.response), err = set[2] }
  end,
  response = function(req)
    local response = app.tasks:find(req.query.id).response
    return { response.status, response.delivered }
  end,
  full = function(req)
    local tasks, seen = {}, {}
    for i = 1, 4 do tasks[i] = req.tasks:schedule(function() async.sleep(60) end) end
    for i, task in ipairs(tasks) do
      while task.status == "waiting" do async.sleep(0.001) end
      local _, err = pcall(task.wait, task, 0.01)
      seen[i] = err.kind
      task:cancel()
    end
    return seen
  end,
}
local function run_script(req) return app.scripts[req.params.script](req) end

local function handle(req) return app.handler(req) end
app:get("/do", handle)
app:post("/do", handle)
app:get("/limited", { timeout = 0.05 }, handle)
app:get("/guarded", { middleware = {
  function(req, proceed) return app.guard(req, proceed) end,
} }, handle)
app:get("/stream", function(req)
  if app.handler then app.handler(req) end
  return perilune.stream(app.stream)
end)
app:get("/blocking/{script}", perilune.blocking(run_script))
app:get("/background/{script}", perilune.background("parity", run_script))
inner:get("/do", handle)
app:mount("/inner", inner)
app.inner = inner

-- places outside of a request

app.places = {}
local function schedule_from(place)
  app.tasks:schedule(function() app.places[place] = true end)
end
app:on_start(function() schedule_from "on_start" end)
app:on_worker(function() schedule_from "on_worker" end)
app:every(0.001, function()
  if not app.places.every then schedule_from "every" end
end)

return app
