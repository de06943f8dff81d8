-- app.lua - an app whose state tells one loaded copy of it from another.
--
-- For specs with several open test clients: upvalues, a module, shared tables, pools, tasks.

local perilune = require "perilune"
local async = require "perilune.async"
local counter = require "counter"
local shared = require "perilune.shared"

local app = perilune.app { name = "twins" }
local requests = 0

local double = perilune.blocking(function(n) return n * 2, app.settings.color end)

local function note(text) counter.note(text) end

app:get("/count", function()
  requests = requests + 1
  return { requests = requests, module = counter.add(), shared = shared("twins"):incr "count" }
end)

app:get("/double/{n:int}", function(req)
  local result, color = double(req.params.n)
  return { result = result, color = color, here = app.settings.color }
end)

--- Loads a module that no state has yet, while others run.
app:get("/late", function()
  async.sleep(0.001)
  return { late = require("late").add() }
end)

app:get("/nested", perilune.blocking(function(req)
  req.tasks:schedule(note, req.query.text)
  return 202
end))

app:get("/notes", function() return counter.notes() end)

app:get("/variable", function() return os.getenv "TWINS_COLOR" or "none" end)

app:post("/slow", function(req)
  req.tasks:task({ name = "slow" }):schedule(async.sleep, 3600)
  return 202
end)

return app
