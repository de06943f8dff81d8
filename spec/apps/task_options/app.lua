-- task_options/app.lua - an app whose handlers are functions of the spec.
--
-- Specs put what a handler is to do into app.handler; what tasks note is in app.events.

local async = require "perilune.async"
local perilune = require "perilune"

local app = perilune.app { name = "task_options" }

local function note(what)
  app.events[#app.events + 1] = what
end
app.note = note

function app.reset()
  app.events, app.handler, app.stream = {}, nil, nil
end
app.reset()

app:get("/do", function(req) return app.handler(req) end)

app:get("/blocking", perilune.blocking(function(req)
  local task = req.tasks:task { name = "from the pool", retries = 1, backoff = { initial = 0 },
    on_error = false }:schedule(function() return "run" end)
  return task:wait()
end))

--- Fails until it was called so many times: calls are counted in a file.
app.flaky = perilune.blocking(function(path, until_call, value)
  local file = assert(io.open(path, "a+"))
  file:write "x"
  file:seek "set"
  local calls = #file:read "a"
  file:close()
  if calls < until_call then error(("call %d of %s"):format(calls, value[1]), 0) end
  return calls, value[1]
end)

app.spin = perilune.blocking(function() while true do end end)
app.fail = perilune.blocking(function(err) error(err, 0) end)
app.echo = perilune.blocking(function(...) return ... end)

--- A blocking on_error: writes what it was told.
app.tell = perilune.blocking(function(task, err)
  local file = assert(io.open(task.args[1], "w"))
  file:write(task.name, " ", task.status, " ", task.attempt, " ", tostring(err))
  file:close()
end)

--- A blocking on_error: calls the function twice more and writes what came of it.
app.call_again = perilune.blocking(function(task)
  local _, first = pcall(task.call, task)
  local file = assert(io.open(task.args[1], "w"))
  file:write(tostring(first):match "[^ ]*$", " ", table.concat(table.pack(task:call()), " "))
  file:close()
end)

app:on_start(function()
  app.started = perilune.tasks:schedule(function() return "on_start" end):wait()
  app.of_app = app.tasks:task { name = "mine" }:schedule(async.now).name
end)

return app
