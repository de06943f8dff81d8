-- app.lua - topics used from every place; the two topic_spec.lua ask it.
--
-- /plain/cases/NAME, /blocking/cases/NAME, /background/cases/NAME run a case: 200 if all is well,
-- else 500 and what it said. The others publish in one place and subscribe in another.

local perilune = require "perilune"
local async = require "perilune.async"
local shared = require "perilune.shared"
local topic = require "perilune.topic"

local cases = require "cases"

local app = perilune.app { name = "topic" }
local counts = shared "counts"

local function run_case(req)
  local ok, err = xpcall(cases[req.params.name], debug.traceback)
  if not ok then return 500, tostring(err) end
  return "went well"
end

app:get("/plain/cases/{name}", run_case)
app:get("/blocking/cases/{name}", perilune.blocking(run_case))
app:get("/background/cases/{name}", perilune.background("cases", run_case))

--- Publishes 1 to n, with who it is.
local function publish(req)
  for i = 1, math.tointeger(tonumber(req.query.n or 1)) do
    topic(req.params.topic):publish { who = req.query.who, number = i }
  end
  return 204
end

app:get("/publish/{topic}", publish)
app:get("/publish_blocking/{topic}", perilune.blocking(publish))
app:get("/publish_background/{topic}", perilune.background("publisher", publish))
app:get("/publish_task/{topic}", function(req)
  req.tasks.after_response:schedule(publish, { query = req.query, params = req.params })
  return 204
end)

--- The n values that come; counts who has subscribed.
local function collect(req)
  local list = {}
  local subscription <close> = topic(req.params.topic):subscribe { buffer = 100000 }
  counts:incr(req.params.topic)
  while #list < math.tointeger(tonumber(req.query.n)) do
    list[#list + 1] = subscription:receive(30)
  end
  return list
end

app:get("/collect/{topic}", collect)
app:get("/collect_blocking/{topic}", perilune.blocking(collect))
app:get("/collect_background/{topic}", perilune.background("subscriber", collect))
app:get("/count/{topic}", function(req) return { count = counts:get(req.params.topic) or 0 } end)

local function follow(req)
  return perilune.sse(function(send)
    local _ <close> = setmetatable({}, { __close = function() counts:incr("ended") end })
    for value in topic(req.params.topic):subscribe { buffer = 100000, overflow = "close" } do
      send { data = value }
    end
  end)
end

app:get("/events/{topic}", function(req)
  counts:incr(req.params.topic)
  return follow(req)
end)
app:get("/events_blocking/{topic}", perilune.blocking(function(req)
  counts:incr(req.params.topic)
  return follow(req)
end))

--- A loop that is held while values come: what it has of them afterwards.
app:get("/held", perilune.background("held", function()
  local dropping = topic "held":subscribe { buffer = 10 }
  local closing = topic "held":subscribe { buffer = 10, overflow = "close" }
  counts:set("held", "waits")
  while counts:get "held" ~= "published" do end -- holds its loop
  local got = { dropped = {}, closed = {} }
  for i = 1, 10 do got.dropped[i] = dropping:receive(30) end
  for i = 1, 10 do got.closed[i] = closing:receive(30) end
  local ok, err = pcall(closing.receive, closing)
  got.kind = not ok and err.kind or nil
  got.count = dropping.dropped
  return got
end))
app:get("/hold", function()
  counts:wait("held", 30, nil)
  for i = 1, 1000 do topic "held":publish(i) end
  counts:set("held", "published")
  return 204
end)

--- The topic as an upvalue of a closure, and as an argument.
app:get("/sent", function()
  local subscription <close> = topic "sent":subscribe()
  local mine = topic "sent"
  async.run_blocking(function() mine:publish "upvalue" end)
  async.run_blocking(function(other, make)
    other:publish "argument"
    make "sent":publish "function"
  end, mine, topic)
  return { subscription:receive(30), subscription:receive(30), subscription:receive(30) }
end)

app:on_start(function()
  topic "start":publish "before anybody listens"
end)

return app
