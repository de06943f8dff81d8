-- app.lua - handlers that schedule tasks, one for each thing that tasks_spec.lua looks at.
--
-- What happens is noted in app.events, which the spec reads, since the app is loaded into its own
-- state; a task that holds goes on when the spec has set app.open[name]. app.task is the last task
-- that a handler scheduled.

local perilune = require "perilune"
local async = require "perilune.async"

local app = perilune.app { name = "tasks", pools = { tasks = { threads = 1 } } }

local function reset()
  app.events, app.open, app.task, app.tasks_kept = {}, {}, nil, nil
end

reset()
app.reset = reset

local function note(event) app.events[#app.events + 1] = event end

local function wait_until_open(name)
  while not app.open[name] do async.checkpoint() end
end

local function hold(name)
  note(name .. " starts")
  wait_until_open(name)
  note(name .. " ends")
  return name
end

local function fail(what) error(what, 0) end

local blocking_echo = perilune.blocking(function(...) return ... end)
local blocking_fail = perilune.blocking(function(what) error(what, 0) end)

--- Holds the only thread of the pool `tasks` until the file is gone.
local blocking_hold = perilune.blocking(function(path)
  local file = io.open(path)
  while file do
    file:close()
    async.sleep(0.001)
    file = io.open(path)
  end
  return "let go"
end)

local M = {}
function M.in_module() end
local assigned = function() end
local marked = perilune.blocking(function() end)
local callable = setmetatable({}, { __call = function(_, ...) note("called " .. ...) end })

local function schedule_three(tasks)
  tasks.after_response:schedule(note, "C")
  tasks.after_route:schedule(note, "B")
  tasks:schedule(note, "A")
end

app:get("/three", function(req)
  schedule_three(req.tasks)
  note "handler"
end)

app:get("/many", function(req)
  local tasks = req.tasks
  for i = 1, 3 do
    tasks.after_response:schedule(note, "C" .. i)
    tasks.after_route:schedule(note, "B" .. i)
    tasks:schedule(note, "A" .. i)
  end
end)

app:get("/concurrent", function(req)
  app.task = req.tasks:schedule(note, "task")
  assert(app.task.status == "waiting")
  note "scheduled"
  async.checkpoint()
  note "handler goes on"
end)

app:get("/hold/{timing}", function(req)
  local timing = req.params.timing
  local tasks = timing == "now" and req.tasks or req.tasks[timing]
  app.task = tasks:schedule(hold, timing)
  app.task_started = app.task.status ~= "waiting"
  note "handler"
  return timing
end)

app:get("/hold_two", function(req)
  req.tasks.after_route:schedule(hold, "one")
  req.tasks.after_route:schedule(hold, "two")
end)

local ways = {
  error = function() error "the handler fails" end,
  abort = function() perilune.abort(404) end,
  abort_below_400 = function() perilune.abort(303, "there", { Location = "/there" }) end,
  wrong_result = function() return true end,
  no_json = function() return { 1, 2, a = 3 } end,
  returned_500 = function() return 500, "returned" end,
  response_500 = function() return perilune.response { status = 500 } end,
}
app:get("/end/{way}", function(req)
  schedule_three(req.tasks)
  app.task = req.tasks.after_route:schedule(note, "kept")
  return ways[req.params.way]()
end)

app:get("/gone", function(req)
  note "handler"
  wait_until_open "gone"
  schedule_three(req.tasks)
  return "nobody reads this"
end)

app:get("/late", function(req)
  local tasks = req.tasks
  tasks:schedule(function()
    wait_until_open "late"
    app.task = tasks.after_route:schedule(note, "late route")
    app.other_task = tasks.after_response:schedule(note, "late response")
  end)
  app.early = tasks.after_route:schedule(note, "early")
end)

app:get("/same", function(req)
  local scheduler = req.tasks
  return { same = scheduler == req.tasks }
end)

app:get("/args", function(req)
  local value, shared = "first", { "first" }
  local tasks = {
    req.tasks:schedule(function(...) return select("#", ...), ... end, 1, nil, value, nil),
    req.tasks.after_response:schedule(function(t) return t[1] end, shared),
    req.tasks:schedule(blocking_echo, shared, nil, value, nil),
    req.tasks.after_response:schedule(blocking_echo, shared),
  }
  value, shared[1] = "second", "second"
  app.task_list = tasks
  return value
end)

app:get("/names", function(req)
  local names = {}
  for i, fn in ipairs { M.in_module, assigned, marked, hold, function() end, callable } do
    app.open.x = true
    names[i] = req.tasks:schedule(fn, "x").name
  end
  names[#names + 1] = req.tasks:task { name = "mine" }:schedule(note, "named").name
  return names
end)

app:get("/definition", function(req)
  local named = req.tasks:task { name = "one" }
  local renamed = named:task { name = "two" }
  local first, second = named:schedule(note, "x"), named:schedule(note, "y")
  return { first.name, second.name, renamed:schedule(note, "z").name,
    named.after_route:schedule(note, "r").name, named:schedule(note, "x").name,
    req.tasks.after_response:task({}):schedule(note, "s").name }
end)

local function handle_plainly(task, err)
  async.checkpoint()
  local args = table.concat(task.args, " ")
  note(("%s: %s, %s, %s"):format(task.name, task.status, tostring(err), args))
end
local handle_blocking = perilune.blocking(function(task, err)
  assert(task.name == "failing" and task.status == "failed", "not the task")
  assert(task.args[2] == "arg" and task.args.n == 2, "not its arguments")
  if err == "tell" then error("told by the pool", 0) end
end)
local handlers = { plain = handle_plainly, blocking = handle_blocking, failing = fail }

app:get("/fail/{timing}/{colour}/{handler}", function(req)
  local tasks = req.params.timing == "now" and req.tasks or req.tasks[req.params.timing]
  local options = { name = "failing", on_error = handlers[req.params.handler] }
  local fn = req.params.colour == "plain" and fail or blocking_fail
  app.task = tasks:task(options):schedule(fn, req.query.what or "boom", "arg")
  app.other_task = tasks:schedule(note, "other")
  return "not changed"
end)

app:get("/inherit", function(req)
  local tasks = req.tasks:task { on_error = function() note "inherited" end }
  tasks:task { name = "keeps" }:schedule(fail, "x")
  tasks:task { on_error = false }:schedule(fail, "x")
  tasks:task { on_error = function() note "own" end }:schedule(fail, "x")
end)

local function fail_when_cancelled(what)
  pcall(async.sleep, 60)
  fail(what)
end

local told = {
  spawned = function(what)
    async.spawn(fail, what) -- spawned here
  end,
  scheduled = function(what, tasks)
    tasks:schedule(fail, what) -- scheduled here
  end,
  loser = function(what)
    async.race(async.checkpoint, { fail_when_cancelled, what })
  end,
  cancelled = function(what)
    local task = async.spawn(function() async.gather { { fail_when_cancelled, what } } end)
    for _ = 1, 3 do async.checkpoint() end
    task:cancel()
  end,
  orphan = function(what)
    local co = coroutine.create(function()
      async.group(function(group) coroutine.yield(group:spawn(fail_when_cancelled, what)) end)
    end)
    coroutine.resume(co)
    async.checkpoint()
    coroutine.close(co)
  end,
  gathered = function(what, tasks)
    local task = tasks:task { on_error = fail, name = "gathered" }:schedule(fail, what)
    pcall(async.gather, task)
  end,
}
app:get("/told/{way}", function(req) told[req.params.way](req.query.what, req.tasks) end)

app:get("/untold", function(req)
  local what = req.query.what
  local task = async.spawn(fail, what)
  pcall(task.wait, task)
  for _, many in ipairs { async.gather, async.settle, async.race, async.any } do
    pcall(many, { fail, what }, async.checkpoint)
  end
  pcall(async.map, { what }, fail)
  pcall(async.group, function(group) group:spawn(fail, what) end)
end)

app:get("/cancel/{timing}", function(req)
  local tasks = req.params.timing == "now" and req.tasks or req.tasks[req.params.timing]
  app.task = tasks:task { on_error = function() note "on_error" end }:schedule(note, "ran")
  app.task:cancel "not wanted"
end)

app:get("/blocking", perilune.blocking(function() return "from default" end))

app:get("/blocking_tasks", function(req)
  local path = req.query.path
  app.task_list = {
    req.tasks:schedule(blocking_hold, path), req.tasks:schedule(blocking_echo, "second"),
    req.tasks.after_response:schedule(blocking_echo, "third"),
  }
end)

local blocking_write = perilune.blocking(function(path)
  local file = assert(io.open(path, "w"))
  file:write "written"
  file:close()
end)

app:get("/cancel_blocking", function(req)
  local held = req.tasks:schedule(blocking_hold, req.query.path)
  local written = req.tasks:schedule(blocking_write, req.query.written)
  written:cancel "not wanted"
  app.task_list = { held, written, req.tasks:schedule(blocking_echo, "next") }
end)

app:get("/wait", function(req)
  local now = req.tasks:schedule(function() return 1, nil, "x", nil end)
  local results = table.pack(now:wait())
  local later = req.tasks.after_response:schedule(note, "later")
  local _, err = pcall(later.wait, later)
  local _, of_gather = pcall(async.gather, { note, "started" }, later)
  local own
  own = req.tasks:schedule(function() return select(2, pcall(own.wait, own)) end)
  return { n = results.n, last = results[3], same = now.results.n, never = tostring(err),
    of_gather = tostring(of_gather), own = own:wait() }
end)

app:get("/misuse", function(req)
  local tasks, said = req.tasks, {}
  local function try(name, ...) said[name] = tostring(select(2, pcall(...))) end
  try("dot", tasks.schedule, note)
  try("dot_task", tasks.task, { name = "x" })
  try("no_function", tasks.schedule, tasks, "note")
  try("nothing", tasks.schedule, tasks)
  try("option", tasks.task, tasks, { nmae = "x" })
  try("name", tasks.task, tasks, { name = 7 })
  try("on_error", tasks.task, tasks, { on_error = "x" })
  try("no_options", tasks.task, tasks)
  try("transfer", tasks.schedule, tasks, blocking_echo, { db = io.stdout })
  local task = tasks:schedule(note, "x")
  try("task_wait", task.wait)
  try("task_cancel", task.cancel)
  said.unknown, said.unknown_of_task = tostring(tasks.after_lunch), tostring(task.unknown)
  return said
end)

return app
