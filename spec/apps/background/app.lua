-- app.lua - background functions in all their places, and what can be done to their loops.
--
-- `events` notes, in the loop's own state, what happens on the loop `main`; read_events() gives it.

local async = require "perilune.async"
local counted = require "counted"
local perilune = require "perilune"

local app = perilune.app { name = "background" }

local loop, other, brief = perilune.loop "main", perilune.loop "other", perilune.loop "brief"
local state, events = {}, {}

app:on_state(function(of) state = of end)

local function note(event) events[#events + 1] = event end

loop:on_start(function()
  async.sleep(0)
  note("start in " .. state.role .. " " .. state.name .. " " .. state.index)
end)
other:on_start(function() note "start of other" end)

local functions = { loop = loop, other = other, brief = brief }

functions.where = perilune.background("main", function() return state.role, state.name end)
functions.read_events = perilune.background("main", function() return events end)
functions.note = perilune.background("main", function(event) note(event) end)
functions.other_events = perilune.background("other", function() return events end)
functions.echo = perilune.background("main", function(...) return ... end)
functions.count = perilune.background("main", counted.add)
functions.fail = perilune.background("main", function(text)
  error(text)
end)
functions.raise = perilune.background("main", function(err) error(err, 0) end)
functions.sleep = perilune.background("main", function(seconds)
  note "sleeps"
  local _ <close> = setmetatable({}, { __close = function() note "sleep ended" end })
  async.sleep(seconds)
  return "slept"
end)
functions.compute = perilune.background("main", function()
  note "computes"
  local _ <close> = setmetatable({}, { __close = function() note "computing ended" end })
  while true do end
end)
functions.compute_some = perilune.background("main", function(seconds)
  local limit = async.now() + seconds
  while async.now() < limit do end
  return "computed"
end)
functions.short = perilune.background("main", { timeout = 0.05 }, function() async.sleep(30) end)
functions.short_inline = perilune.background("main", function()
  return pcall(functions.short)
end)
functions.inline = perilune.background("main", function()
  local before = #events
  functions.note "inline"
  return #events - before
end)
functions.narrow = perilune.background("narrow", { queue = 2 }, function(seconds)
  async.sleep(seconds)
  return "through"
end)
functions.nested = perilune.background("other", function() return functions.where() end)
functions.from_pool = perilune.blocking(function() return functions.where() end)
functions.to_pool = perilune.background("main", function() return functions.pool_role() end)
functions.pool_role = perilune.blocking(function() return state.role end)
functions.gathers = perilune.background("main", function()
  return async.gather(functions.where, functions.nested, functions.pool_role)
end)
functions.spawns = perilune.background("main", function()
  async.spawn(function()
    note "spawned"
    async.sleep(30)
  end)
  return "returned"
end)
functions.bad_result = perilune.background("main", function() return { a = io.stdout } end)
functions.brief_where = perilune.background("brief", function() return state.name end)
functions.brief_sleep = perilune.background("brief", function()
  async.sleep(30)
end)
brief:on_stop(function() pcall(functions.note, "brief stopped") end) -- not at the end of the app
functions.self_stop = perilune.background("suicidal", function()
  perilune.loop("suicidal"):stop()
  async.sleep(30)
end)
functions.stop_late = perilune.background("late", function()
  async.spawn(function()
    async.sleep(0.001) -- until the turn in which the loop hears that it is to stop
    while true do end
  end)
  async.checkpoint()
  perilune.loop("late"):stop()
  local limit = async.now() + 0.002
  while async.now() < limit do end
end)
perilune.loop("late"):on_stop(function() pcall(functions.note, "late stopped") end)
functions.apply = perilune.background("main", function(fn, ...) return fn(...) end)
functions.blocking_apply = perilune.blocking(function(fn, ...) return fn(...) end)

--- A function may be marked for several places.
local function tell() return state.role, state.name end
functions.tell_pool = perilune.blocking(tell)
functions.tell_main = perilune.background("main", tell)
functions.tell_other = perilune.background("other", tell)

app.functions = functions

app:get("/where", perilune.background("main", function(req)
  return { role = state.role, name = state.name, path = req.path, query = req.query.q }
end))
app:post("/body", perilune.background("main", function(req) return req:json() end))
app:get("/awaited", function()
  local role, name = functions.where()
  return { role, name }
end)
app:get("/abort", perilune.background("main", function() perilune.abort(418, "teapot") end))
app:get("/error", perilune.background("main", function() error "oops" end))
app:get("/full", perilune.background("narrow", { queue = 1 }, function() async.sleep(30) end))
app:get("/stream", perilune.background("main", function()
  return perilune.stream(function(write)
    for i = 1, 3 do
      write(("%s %d\n"):format(state.role, i))
      async.sleep(0)
    end
  end)
end))
app:get("/sse", perilune.background("main", function()
  return perilune.sse(function(send)
    send { data = state.role }
    async.sleep(0)
    send { data = "more" }
  end)
end))
app:post("/chunks", { stream_body = true }, perilune.background("main", function(req)
  local parts = {}
  for chunk in req:chunks() do parts[#parts + 1] = chunk end
  return { role = state.role, body = table.concat(parts), has_left = req:is_disconnected() }
end))
app:get("/once", perilune.background("main", function(req)
  local value = req:once("key", function() return "made" end, function(made)
    note("closed " .. made)
  end)
  async.sleep(0)
  return value .. (req:once("key", function() return " anew" end))
end))
app:get("/once_count", perilune.background("main", function()
  local count = 0
  for _, event in ipairs(events) do count = count + (event == "closed made" and 1 or 0) end
  return { count = count }
end))
app:get("/nested_req", perilune.background("main", function(req)
  local read = functions.blocking_apply
  local ok, has_left = pcall(read, function(its) return its:is_disconnected() end, req)
  return { ok = ok, has_left = has_left }
end))

local guarded = perilune.router { prefix = "/guarded" }
guarded:use(perilune.background("main", function(req)
  if req.query.stop then return 403, "by " .. state.role end
end))
guarded:on_error(perilune.background("main", function(_, err)
  return 500, ("%s on %s"):format(tostring(err):match "[^:]*$", state.role)
end))
guarded:get("/", function() return "passed" end)
guarded:get("/error", function() error("broken", 0) end)
app:mount("", guarded)

app:get("/schedule", function(req)
  req.tasks:schedule(functions.note, "scheduled now")
  req.tasks.after_route:schedule(functions.note, "scheduled after_route")
  req.tasks.after_response:schedule(functions.note, "scheduled after_response")
  req.tasks:task {
    on_error = functions.task_error,
  }:schedule(functions.fail, "task oops")
  return 204
end)
functions.task_error = perilune.background("main", function(task, err)
  note(("on_error %s %s"):format(task.name, tostring(err):match "[^:]*$"))
end)

return app
