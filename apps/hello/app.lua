-- app.lua - the first page of the tutorial: one route of each kind.
--
-- JSON and text, a path parameter, a route that waits, one that computes on the thread pool, and a
-- POST that schedules a task in each of the three timings.

local perilune = require "perilune"
local async = require "perilune.async"
local log = require "perilune.log"

local app = perilune.app { name = "hello" }

app:get("/", function()
  return { message = "Hello, World!" } -- a table is JSON
end)

app:get("/users/{id:int}", function(req)
  return { id = req.params.id, verbose = req.query.verbose }
end)

app:get("/plain", function()
  return "Hello, World!" -- a string is text
end)

-- Waits without holding anything: thousands of these run at once.
app:get("/sleep", function()
  async.sleep(0.1)
  return { slept = 0.1 }
end)

-- Computes on the thread pool, on another core: the other routes answer meanwhile.
local function count_primes(limit)
  local count = 0
  for n = 2, limit do
    local is_prime = true
    for d = 2, math.floor(math.sqrt(n)) do
      if n % d == 0 then
        is_prime = false
        break
      end
    end
    if is_prime then count = count + 1 end
  end
  return count
end

app:get("/burn", perilune.blocking(function(req)
  local limit = math.tointeger(tonumber(req.query.limit or "1000000"))
  if not limit or limit < 1 then perilune.abort(400, "limit is a whole number from 1") end
  return { limit = limit, primes = count_primes(limit) }
end))

local function resize_avatar(name)
  log.info("avatar resized", { name = name })
end

local function log_analytics(event, name)
  log.info("analytics", { event = event, name = name })
end

local function send_welcome_email(email)
  async.sleep(0.01) -- as a mail server would let it wait
  log.info("welcome mail sent", { email = email })
end

app:post("/users", function(req)
  local user = req:json()
  if type(user) ~= "table" or type(user.name) ~= "string" or type(user.email) ~= "string" then
    perilune.abort(422, "name and email are needed")
  end
  local tasks = req.tasks
  tasks:schedule(resize_avatar, user.name) -- now, beside the handler
  tasks.after_route:schedule(log_analytics, "user_created", user.name) -- the handler has returned
  tasks.after_response:schedule(send_welcome_email, user.email) -- the response is out
  return 201, { name = user.name, email = user.email }
end)

return app
