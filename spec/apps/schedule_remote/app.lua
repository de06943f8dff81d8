-- app.lua - blocking handlers and tasks that schedule others, for schedule_remote_spec.lua.
--
-- What plain tasks do is noted in app.events, on the event loop's state, which the spec reads.
-- `home` tells in which state a function has run: pool threads have another one.

local perilune = require "perilune"
local async = require "perilune.async"
local context = require "perilune.context"

local app = perilune.app { name = "schedule_remote" }
local role

app:on_state(function(state) role = state.role end)

local function reset() app.events, app.open = {}, {} end

reset()
app.reset = reset

local function note(...) app.events[#app.events + 1] = table.concat({ ... }, " ") end
local function where(...) return role, ... end
local function fail(what) error(what) end
local function hold(name)
  note(name .. " starts")
  while not app.open[name] do async.checkpoint() end
  return name
end
local function tell_error(task, err)
  note("on_error", task.name, tostring(err):match "[^:]+$")
end

local where_blocking = perilune.blocking(where)
local fail_blocking = perilune.blocking(fail)

local function blocking_route(path, handler) app:get(path, perilune.blocking(handler)) end

blocking_route("/three", function(req)
  local tasks = req.tasks
  tasks.after_response:schedule(note, "C")
  tasks.after_route:schedule(note, "B")
  tasks:schedule(note, "A")
end)

blocking_route("/failing", function(req)
  req.tasks:schedule(note, "now")
  req.tasks.after_route:schedule(note, "route")
  req.tasks.after_response:schedule(note, "response")
  error "the handler fails"
end)

blocking_route("/results", function(req)
  local tasks = req.tasks
  local plain = tasks:schedule(where, 1, nil, 3.0)
  local blocking = tasks:schedule(where_blocking, 2)
  local packed = table.pack(plain:wait())
  return {
    plain = { packed[1], packed[2], packed[3] == nil, packed[4], packed.n },
    blocking = { blocking:wait() },
    status = plain.status, id = plain.id, name = plain.name, args = plain.args.n,
    is_other = plain.id ~= blocking.id,
  }
end)

blocking_route("/closure", function(req)
  local made = ("%s"):format(req.query.text)
  return req.tasks:schedule(function(more) return made .. more end, "!"):wait()
end)

blocking_route("/context", function(req)
  context.user = "ann"
  local task = req.tasks:schedule(function() return context.user, context.request_id end)
  local user, id = task:wait()
  return { user = user, is_same_request = id == req.id }
end)

blocking_route("/wrong", function(req)
  local kinds = {}
  for name, fn in pairs { plain = fail, blocking = fail_blocking } do
    local ok, err = pcall(req.tasks:schedule(fn, { kind = "wrong", name = name }).wait,
      req.tasks:schedule(fn, { kind = "wrong", name = name }))
    kinds[name] = { ok = ok, kind = err.kind, name = err.name }
  end
  return kinds
end)

blocking_route("/on_error", function(req)
  req.tasks:task { name = "first", on_error = tell_error }:schedule(fail, "one")
  local definition = req.tasks.after_response:task { name = "second", on_error = tell_error }
  definition:schedule(fail, "two")
  definition:task { on_error = false }:schedule(fail, "three")
end)

blocking_route("/live", function(req)
  local task = req.tasks:schedule(hold, "live")
  while task.status ~= "running" do async.sleep(0.001) end
  task:cancel "enough"
  local ok, err = pcall(task.wait, task)
  return { ok = ok, kind = err.kind, message = err.message, status = task.status }
end)

blocking_route("/timeout", function(req)
  local task = req.tasks:schedule(hold, "held")
  local ok, err = pcall(task.wait, task, 0.001)
  return { ok = ok, kind = err.kind, status = task.status }
end)

blocking_route("/cannot_cross", function(req)
  local ok, err = pcall(req.tasks.schedule, req.tasks, note, io.stdout)
  return { ok = ok, kind = err.kind, message = err.message }
end)

local wait_for = perilune.blocking(function(task) return task:wait() end)
app:get("/never_through_loop", perilune.background("side", function(req)
  local task = req.tasks.after_response:schedule(note, "later")
  local _, blocking = pcall(wait_for, task)
  local child = async.spawn(function() return task:wait() end)
  local _, limited = pcall(child.wait, child, 0.05)
  return { blocking = tostring(blocking), limited = limited.kind or tostring(limited) }
end))

blocking_route("/never", function(req)
  local task = req.tasks.after_response:schedule(note, "later")
  local ok, err = pcall(task.wait, task)
  return { ok = ok, error = tostring(err) }
end)

blocking_route("/many", function(req)
  for i = 1, 200 do req.tasks:schedule(note, i) end
end)

--- A blocking task that schedules: the request is over when it does.
local schedules_late = perilune.blocking(function(req)
  req.tasks.after_route:schedule(note, "late")
end)
app:get("/late", function(req)
  req.tasks.after_response:schedule(schedules_late, req)
end)

--- Its handle is kept on the loop after the pool's function has returned.
local schedules = perilune.blocking(function(req) return req.tasks:schedule(where, "back") end)
app:get("/handed_back", function(req)
  local task = schedules(req)
  return { status = task.status, results = { task:wait() }, name = task.name }
end)

local passes = perilune.blocking(function(task) return task:wait() end)
app:get("/handed_on", function(req)
  local role_there, value = passes(schedules(req))
  return { role = role_there, value = value }
end)

-- the three schedulers, from a pool and from a background loop

local function schedule_by_each(req)
  local function run(tasks) return (tasks:schedule(where):wait()) end
  perilune.tasks.after_response:schedule(note, "current")
  app.tasks.after_response:schedule(note, "app")
  return { req = run(req.tasks), current = run(perilune.tasks), app = run(app.tasks),
    late = app.tasks.after_route:schedule(where).late }
end
app:get("/each", schedule_by_each)
blocking_route("/each_in_pool", schedule_by_each)
app:get("/each_on_loop", perilune.background("loop", schedule_by_each))

--- Without a request: called by a task of the app.
local schedule_for_app = perilune.blocking(function()
  return (perilune.tasks:schedule(where):wait()), (app.tasks:schedule(where):wait())
end)
app:get("/app_task", function()
  local task = app.tasks:schedule(schedule_for_app)
  return { task:wait() }
end)

-- ids: given out by one request, looked up by another, in either kind of state

app:get("/start/{name}", function(req) return req.tasks:schedule(hold, req.params.name).id end)

local function tell_found(req)
  local task = req.tasks:find(req.query.id)
  return { found = task ~= nil, name = task and task.name, status = task and task.status,
    result = task and task.status == "done" and task:wait() }
end
app:get("/find", tell_found)
blocking_route("/find_in_pool", tell_found)

blocking_route("/stop", function(req)
  local task = req.tasks:find(req.query.id)
  task:cancel()
  local ok = pcall(task.wait, task)
  return { ok = ok, status = task.status }
end)

return app
