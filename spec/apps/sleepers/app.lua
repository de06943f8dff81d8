-- app.lua - programs that run for longer than anybody waits, started in each place.
--
-- process_spec.lua ends the server while they run. Each writes its process id to the file that the
-- request names.

local perilune = require "perilune"
local process = require "perilune.process"

local app = perilune.app { name = "sleepers" }

local function sleep(req)
  local result = process.run { "sh", "-c", "echo $$ > $0; exec sleep 1000", req.query.path }
  return result
end

app:get("/plain", sleep)
app:get("/blocking", perilune.blocking(function(req) return sleep(req) end))
app:get("/background", perilune.background("sleepers", function(req) return sleep(req) end))
app:get("/nice", perilune.blocking(function()
  local result = process.run { "sh", "-c", "cat /proc/$$/stat" }
  return result.stdout
end))

return app
