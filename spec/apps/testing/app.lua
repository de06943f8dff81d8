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
local function break_apart() error { code = 7 } end

app:post("/fails", function(req)
  req.tasks:schedule(req.query.apart and break_apart or break_down)
  return 204
end)

local function nap() async.sleep(3600) end

app:post("/sleeps", function(req)
  req.tasks:schedule(nap)
  return 204
end)

-- --- cookies and redirects -----------------------------------------------------------------------

local function set_cookies(req)
  local res = perilune.response { status = 200, json = {} }
  for _, line in ipairs(req:query_all "c") do res:add_header("Set-Cookie", line) end
  return res
end

app:get("/set", set_cookies)
app:get("/deep/set", set_cookies)

local function echo(req)
  return { method = req.method, cookie = req.headers.cookie, body = req.body, path = req.path,
    type = req.headers["content-type"], query = req.query.q }
end

app:any("/echo", echo)
app:any("/deep/echo", echo)

app:any("/redirect/{status:int}", function(req)
  local res = perilune.response { status = req.params.status }
  res:header("Location", req.query.to)
  res:cookie("hop", tostring(req.params.status))
  return res
end)

app:get("/loop", function() return perilune.redirect "/loop" end)

-- --- events --------------------------------------------------------------------------------------

app:get("/feed", function()
  return perilune.sse(function(send)
    for i = 1, 3 do
      send { id = i, event = i == 2 and "second" or nil, data = { number = i }, retry = 1000 * i }
      async.sleep(60)
    end
  end)
end)

local is_feeding = false

app:get("/endless", function()
  return perilune.sse(function(send)
    is_feeding = true
    local _ <close> = setmetatable({}, { __close = function() is_feeding = false end })
    while true do
      send "line one\nline two"
      async.sleep(1)
    end
  end)
end)

app:get("/is_feeding", function() return { is_feeding = is_feeding } end)

--- As bytes, in the pieces that a query gives.
app:get("/raw", function(req)
  return perilune.stream({ headers = { ["Content-Type"] = "text/event-stream" } }, function(write)
    for _, piece in ipairs(req:query_all "piece") do
      write(piece)
      async.sleep(1)
    end
  end)
end)

-- --- where it runs -------------------------------------------------------------------------------

local function look_around(name)
  return { settings = app.settings, env = os.getenv(name) or nil, dir = app.dir }
end

local look_around_in_pool = perilune.blocking(look_around)

app:get("/around/{name}", function(req)
  return { here = look_around(req.params.name), pool = look_around_in_pool(req.params.name) }
end)

return app
