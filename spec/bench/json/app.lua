-- app.lua - perilune.json: GET /NAME?path=FILE&seconds=N measures it with the text of a file.
--
-- The answer is a line for each figure, its name and value, in MB per second of CPU time.

local json = require "perilune.json"
local measure = require "measure"
local perilune = require "perilune"

local app = perilune.app { name = "json" }

app:get("/{workload}", function(req)
  local query = req.query
  return measure.text(json, req.params.workload, query.path, tonumber(query.seconds))
end)

return app
