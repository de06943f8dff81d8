-- app.lua - answers with what is alive where its handlers run.
--
-- For running_spec.lua.

local perilune = require "perilune"
local async = require "perilune.async"

local app = perilune.app { name = "running" }

app:get("/plain/{name}", function(req)
  return { id = req.id, rows = async.running() }
end)

local function later() end

app:get("/scheduled", function(req)
  for _ = 1, 50 do req.tasks.after_response:schedule(later) end
  return async.running()
end)

app:get("/blocking", perilune.blocking(function(req)
  local function in_pool() async.sleep(60) end
  async.spawn(in_pool)
  async.checkpoint()
  return { id = req.id, rows = async.running() }
end))

return app
