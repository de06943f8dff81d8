-- app.lua - values made once per request; once_spec.lua reads what happened from /events.
--
-- `event` notes what happens on the event loop; blocking handlers write their events into the file
-- that the request names, since a pool thread has a state of its own.

local perilune = require "perilune"
local async = require "perilune.async"

local app = perilune.app { name = "once" }

local events = {}

local function event(req, text)
  local path = req.query.path
  if not path then
    events[#events + 1] = text
    return
  end
  local file <close> = assert(io.open(path, "a"))
  file:write(text, "\n")
end

local function make(req, name, wait)
  return req:once(name, function()
    event(req, "make " .. name)
    if wait then async.sleep(0.002) end
    return { name = name }
  end, function(value)
    async.sleep(0.001)
    event(req, "close " .. value.name)
  end)
end

local handlers = {}

function handlers.twice(req)
  return { same = make(req, "a") == make(req, "a"), name = make(req, "b").name }
end

function handlers.together(req)
  local function get() return make(req, "a", true) end
  local a, b, c = async.gather(get, get, get)
  return { same = a == b and b == c }
end

function handlers.fails(req)
  local tries = 0
  local function get()
    local ok, value = pcall(req.once, req, "x", function()
      tries = tries + 1
      async.sleep(0.001)
      if tries < 3 then error { kind = "try", tries = tries } end
      return tries
    end, function(value) event(req, "close " .. value) end)
    return ok and value or value.kind .. value.tries
  end
  local a, b, c, d = async.gather(get, get, get, get)
  return { a, b, c, d }
end

function handlers.nothing(req)
  local count = 0
  local function get() count = count + 1 end
  return { tostring(req:once("nil", get)), tostring(req:once("nil", get)), count,
    req:once(false, function() return 1, 2 end), req:once(false, print) }
end

function handlers.bad_close(req)
  make(req, "first")
  req:once("bad", function() return 1 end, function() error "bad close" end)
  make(req, "last")
  return "answered"
end

function handlers.error(req)
  make(req, "a")
  error "after making"
end

function handlers.abort(req)
  make(req, "a")
  perilune.abort(404)
end

function handlers.stream(req)
  make(req, "a")
  return perilune.stream(function(write)
    write "one "
    async.sleep(0.005)
    event(req, "streamed")
    write(make(req, "a").name)
  end)
end

function handlers.circle(req)
  local value = req:once("c", function()
    local inner = req:once("c", function() end)
    return inner
  end)
  return value
end

function handlers.wrong(req)
  local messages = {}
  for i, arguments in ipairs {
    { req }, { req, 0 / 0, print }, { req, "a" }, { req, "a", print, 7 }, { {}, "a", print },
  } do
    local _, err = pcall(req.once, table.unpack(arguments, 1, 4))
    messages[i] = tostring(err)
  end
  return messages
end

for name, fn in pairs(handlers) do
  app:get("/" .. name, fn)
  app:get("/blocking/" .. name, perilune.blocking(fn))
end

app:get("/middleware", { middleware = { function(req, proceed)
  make(req, "a")
  local res = proceed()
  event(req, "proceeded")
  return res:header("x-name", make(req, "a").name)
end } }, function(req) return make(req, "a").name end)

app:get("/missing/late", function(req)
  req.tasks.after_response:schedule(function()
    async.sleep(0.01)
    local ok, err = pcall(make, req, "late")
    event(req, tostring(ok) .. " " .. tostring(err))
  end)
  return "early"
end)

app:get("/child", function(req)
  async.spawn(function()
    local ok, err = pcall(req.once, req, "slow", function()
      async.sleep(0.01)
      return "value"
    end, function(value) event(req, "close " .. value) end)
    event(req, tostring(ok) .. " " .. tostring(err))
  end)
  async.checkpoint()
  return "early"
end)

app:get("/events", function()
  local list = events
  events = {}
  return require "perilune.json".array(list)
end)

app:on_status(404, function(req) return make(req, "missing").name end)

return app
