-- testing - an app with tasks, cookies, settings and streams, for the specs of perilune.test.
--
-- Nothing here is waited for longer than a spec says.

local async = require "perilune.async"
local perilune = require "perilune"

local app = perilune.app { name = "testing" }

local function resize() end

local function log_analytics() end

local send_welcome_email = perilune.blocking(function(email) return email end)

app:post("/users", function(req)
  local user = req:json()
  local tasks = req.tasks
  tasks:schedule(resize, user.email)
  tasks.after_route:schedule(log_analytics, "user_created", user.email)
  tasks.after_response:task { retries = 3 }:schedule(send_welcome_email, user.email, user.plan)
  return 201, user
end)

app:post("/from_pool", perilune.blocking(function(req)
  req.tasks:schedule(log_analytics, "from the pool")
end))

local function break_down() error "out of paper" end

app:post("/fails", function(req)
  req.tasks:schedule(break_down)
  return 204
end)

local function nap() async.sleep(3600) end

app:post("/sleeps", function(req)
  req.tasks:schedule(nap)
  return 204
end)

return app
