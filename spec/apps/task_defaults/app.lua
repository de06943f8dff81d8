-- task_defaults/app.lua - an app with defaults for its tasks, and one mounted in it with others.
--
-- Specs put what a handler is to do into app.handler; what tasks note is in app.events.

local perilune = require "perilune"

local events = {}
local function note(task, err)
  events[#events + 1] = ("%s: %s"):format(task.name, tostring(err))
end

local inner = perilune.app { name = "inner", task_defaults = { name = "inner" } }
local app = perilune.app {
  name = "task_defaults",
  task_defaults = {
    name = "default", shield = true, on_error = note,
  },
}

app.events = events
app:get("/do", function(req) return app.handler(req) end)
inner:get("/name", function(req) return req.tasks:schedule(function() end).name end)
inner:get("/app", function() return tostring(inner.tasks == app.tasks) end)
app:mount("/inner", inner)

return app
