-- upstream.lua - the services that the dashboard asks, played by the app itself.
--
-- Each takes its time; with ?fail=NAME that one answers 503.

local async = require "perilune.async"
local http = require "perilune.http"
local perilune = require "perilune"

local upstream = { router = perilune.router() }

local services = {
  orders = { seconds = 0.08, answer = { open = 3 } },
  profile = { seconds = 0.06, answer = { name = "Ann" } },
  offers = { seconds = 0.05, answer = { "coffee", "tea" } },
}

upstream.router:get("/{name}", function(req)
  local name = req.params.name
  local service = services[name] or perilune.abort(404, "there is no such service")
  async.sleep(service.seconds)
  if req.query.fail == name then perilune.abort(503, name .. " is down") end
  return service.answer
end)

--- What a service answers; an answer of 400 or more is an error.
---@param req table the request whose host the services are at
function upstream.load(req, name)
  local url = ("http://%s/upstream/%s"):format(req.host, name)
  local res = http.get(url, { query = { fail = req.query.fail } })
  res:raise_for_status()
  return res:json()
end

return upstream
