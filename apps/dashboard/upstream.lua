-- upstream.lua - the services that the dashboard asks, played by the app itself.
--
-- Each takes its time; with ?fail=NAME that one answers 503.

local async = require "perilune.async"
local perilune = require "perilune"

local upstream = perilune.router()

local services = {
  orders = { seconds = 0.08, answer = { open = 3 } },
  profile = { seconds = 0.06, answer = { name = "Ann" } },
  offers = { seconds = 0.05, answer = { "coffee", "tea" } },
}

upstream:get("/{name}", function(req)
  local name = req.params.name
  local service = services[name] or perilune.abort(404, "there is no such service")
  async.sleep(service.seconds)
  if req.query.fail == name then perilune.abort(503, name .. " is down") end
  return service.answer
end)

return upstream
