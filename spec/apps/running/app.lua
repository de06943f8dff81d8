-- app.lua - answers with what is alive where its handlers run.
--
-- For running_spec.lua.

local perilune = require "perilune"
local async = require "perilune.async"

local app = perilune.app { name = "running" }

app:get("/plain/{name}", function(req)
  return { id = req.id, rows = async.running() }
end)

app:get("/blocking", perilune.blocking(function(req)
  local function in_pool() async.sleep(60) end
  async.spawn(in_pool)
  async.checkpoint()
  return { id = req.id, rows = async.running() }
end))

return app
