-- app.lua - NAME: a route, a blocking function and a task.
--
-- Every worker loads this file into a Lua state of its own: what is to be shared by all of them
-- belongs into a database. conf.lua has the settings, spec/ the specs.

local log = require "perilune.log"
local perilune = require "perilune"

local app = perilune.app { name = "NAME" }

local LIMIT_MAX = 1000000

--- Runs on the thread pool, beside the event loop: the place for all that computes or blocks.
local count_primes = perilune.blocking(function(limit)
  local composite, count = {}, 0
  for n = 2, limit do
    if not composite[n] then
      count = count + 1
      for multiple = n * n, limit, n do composite[multiple] = true end
    end
  end
  return count
end)

--- A task: the client does not wait for it.
local function send_welcome(name)
  log.info("welcome", { name = name })
end

app:get("/", function()
  return { message = app.settings.greeting .. ", World!" } -- a table is JSON
end)

app:get("/primes/{limit:int}", function(req)
  local limit = req.params.limit
  if limit < 1 or limit > LIMIT_MAX then perilune.abort(400, "limit is from 1 to " .. LIMIT_MAX) end
  return { limit = limit, primes = count_primes(limit) } -- other requests go on meanwhile
end)

app:post("/users", function(req)
  local user = req:json()
  local name = type(user) == "table" and user.name
  if type(name) ~= "string" then perilune.abort(422, "name is a text") end
  req.tasks.after_response:schedule(send_welcome, name) -- when the response is out
  return 201, { name = name }
end)

return app
