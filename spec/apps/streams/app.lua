-- streams - responses that functions write, bodies that come bit by bit, and clients that leave.
--
-- For spec/lua/streams_spec.lua and spec/lua/request_body_spec.lua. What happened is kept in `seen`
-- and told by /seen.

local async = require "perilune.async"
local perilune = require "perilune"

local app = perilune.app { name = "streams" }
local seen = {}

local PIECE = ("x"):rep(1024)

local function note(name, value)
  seen[name] = value
end

--- A value that is noted when it is closed.
local function noting(name)
  return setmetatable({}, { __close = function() note(name, true) end })
end

app:get("/seen", function() return seen end)

app:get("/three", function()
  return perilune.stream(function(write)
    write("one ")
    async.sleep(0)
    write("two ")
    write("")
    write(3)
  end)
end)

app:get("/typed", function()
  local options = { status = 201, headers = { ["Content-Type"] = "text/csv", ["X-A"] = "b" } }
  return perilune.stream(options, function(write) write("a,b\n") end)
end)

app:get("/none", function() return perilune.stream(function() end) end)

app:get("/no-content", function()
  return perilune.stream({ status = 204 }, function(write) write("never") end)
end)

app:get("/failing", function()
  return perilune.stream(function(write)
    write("begin")
    async.sleep(0)
    error("in the middle")
  end)
end)

app:get("/bad-write", function()
  return perilune.stream(function(write) write({}) end)
end)

local kept
app:get("/keep-write", function()
  return perilune.stream(function(write) kept = write end)
end)
app:get("/use-kept", function()
  local ok, err = pcall(kept, "late")
  return { ok = ok, err = tostring(err) }
end)

--- Writes until the client has left, and tells how that ended.
local function endless(write)
  local ok, err = pcall(function()
    for i = 1, math.huge do
      note("written", i)
      write(PIECE)
    end
  end)
  note("ended", { ok = ok, kind = err.kind })
  error(err, 0)
end

app:get("/endless", function() return perilune.stream(endless) end)

app:get("/slow/{count:int}", function(req)
  return perilune.stream(function(write)
    for i = 1, req.params.count do
      note("slow", i)
      write(PIECE)
    end
    note("done", req.params.count)
  end)
end)

app:get("/delivered/{how}", function(req)
  local res = perilune.response { body = "x" }
  if req.params.how == "stream" then res = perilune.stream(endless) end
  req.tasks.after_response:schedule(function() note("delivered", tostring(res.delivered)) end)
  note("before", tostring(res.delivered))
  if req.params.how == "late" then
    note("waiting", true)
    while not req:is_disconnected() do async.sleep(0.001) end
  end
  return res
end)

app:get("/timings", function(req)
  local order = {}
  req.tasks:schedule(function() order[#order + 1] = "now" end)
  req.tasks.after_route:schedule(function() order[#order + 1] = "after_route" end)
  req.tasks.after_response:schedule(function()
    order[#order + 1] = "after_response"
    note("order", order)
  end)
  return perilune.stream(function(write)
    async.sleep(0)
    async.sleep(0)
    order[#order + 1] = "stream"
    write("x")
  end)
end)

app:get("/dropped", function(req)
  req.tasks.after_response:schedule(function() note("dropped_ran", true) end)
  return perilune.stream(function() error("no") end)
end)

-- events

app:get("/events", function(req)
  return perilune.sse(function(send)
    send { data = "one" }
    send { id = req.headers["last-event-id"] or "1", event = "tick", data = { n = 1 }, retry = 10 }
    send "two\nlines\r\nthree"
    send { comment = "hi" }
  end)
end)

app:get("/bad-event/{which}", function(req)
  local bad = {
    id = { id = "a\nb" }, event = { event = "a\rb" }, retry = { retry = -1 }, empty = {},
    unknown = { dat = "x" }, data = { data = true }, number = 5,
  }
  return perilune.sse(function(send)
    local _, err = pcall(send, bad[req.params.which])
    send(tostring(err))
  end)
end)

app:get("/forever", function()
  return perilune.sse({ keep_alive = 0.02 }, function(send)
    local guard <close> = noting("forever_closed")
    send "hello"
    assert(guard)
    async.sleep(3600)
  end)
end)

-- blocking handlers

local gate = {}

app:get("/blocking/three", perilune.blocking(function()
  return perilune.stream({ headers = { ["X-Where"] = "pool" } }, function(write)
    write("one ")
    write("two ")
    write(async and "three" or "")
  end)
end))

app:get("/blocking/events", perilune.blocking(function()
  return perilune.sse(function(send)
    for i = 1, 3 do send { data = { n = i } } end
  end)
end))

app:get("/blocking/failing", perilune.blocking(function()
  return perilune.stream(function(write)
    write("begin")
    error("in the pool")
  end)
end))

app:get("/blocking/big", perilune.blocking(function()
  return perilune.stream(function(write)
    for _ = 1, 2048 do write(PIECE) end
  end)
end))

app:get("/blocking/endless", perilune.blocking(function()
  return perilune.stream(function(write)
    while true do write(PIECE) end
  end)
end))

app:get("/blocking/forever", perilune.blocking(function()
  return perilune.sse(function(send)
    send "hello"
    async.sleep(3600)
  end)
end))

app:get("/blocking/upvalue", perilune.blocking(function()
  gate.count = (gate.count or 0) + 1
  return perilune.stream(function(write) write(tostring(gate.count)) end)
end))

app:get("/blocking/dropped", perilune.blocking(function() return perilune.stream(endless) end))

-- bodies

local function take_chunks(req)
  local sizes, total = {}, 0
  for chunk in req:chunks() do
    total = total + #chunk
    sizes[#sizes + 1] = #chunk
    note("chunks", #sizes)
  end
  return { total = total, count = #sizes }
end

app:post("/chunks", { stream_body = true }, take_chunks)
app:group("/wrapped", function(group)
  group:use(function(_, proceed) return proceed():header("X-Wrapped", "yes") end)
  group:post("/chunks", { stream_body = true }, take_chunks)
end)

app:post("/buffered-chunks", function(req)
  local parts = {}
  for chunk in req:chunks() do parts[#parts + 1] = chunk end
  return { parts = parts, body = req.body }
end)

app:post("/echo", { stream_body = true }, function(req)
  return perilune.stream(function(write)
    for chunk in req:chunks() do write(chunk) end
  end)
end)

app:post("/blocking/chunks", { stream_body = true }, perilune.blocking(function(req)
  local total = 0
  for chunk in req:chunks() do total = total + #chunk end
  return { total = total }
end))

app:post("/blocking/echo", { stream_body = true }, perilune.blocking(function(req)
  return perilune.stream(function(write)
    for chunk in req:chunks() do write(chunk) end
  end)
end))

local may_go = false
app:get("/go", function() may_go = true end)

app:post("/held", { stream_body = true, max_body = 1 << 30 }, function(req)
  note("held", true)
  while not may_go do async.sleep(0.001) end
  local total = 0
  for chunk in req:chunks() do total = total + #chunk end
  return { total = total }
end)

app:post("/first", { stream_body = true }, function(req)
  local first = req:chunks()()
  return { first = #first }
end)

app:post("/unread", { stream_body = true }, function() return "unread" end)
app:post("/refused", { stream_body = true }, function() perilune.abort(403) end)
app:post("/body", { stream_body = true }, function(req) return req.body end)
app:post("/json", { stream_body = true }, function(req) return req:json() end)
app:post("/small", { stream_body = true, max_body = 10 }, function(req)
  local total = 0
  for chunk in req:chunks() do total = total + #chunk end
  return { total = total }
end)
app:post("/tiny", { max_body = 10 }, function(req) return { size = #req.body } end)
app:post("/large", { max_body = 20 * 1024 * 1024 }, function(req) return { size = #req.body } end)

local late_chunks
app:post("/keep-chunks", { stream_body = true }, function(req)
  late_chunks = req:chunks()
  return "kept"
end)
app:get("/use-chunks", function()
  local ok, err = pcall(late_chunks)
  return { ok = ok, err = tostring(err) }
end)

-- time and leaving

app:get("/timeout", { timeout = 0.05 }, function()
  local ok, err = pcall(async.sleep, 3600)
  note("timeout", { ok = ok, kind = err.kind })
  async.sleep(3600)
end)

app:get("/timeout/swallowed", { timeout = 0.02 }, function()
  pcall(async.sleep, 3600)
  return "late"
end)

app:get("/timeout/computing", { timeout = 0.05 }, function() while true do end end)
app:get("/timeout/blocking", { timeout = 0.05 }, perilune.blocking(function()
  while true do end
end))
app:get("/timeout/enough", { timeout = 30 }, function() return "in time" end)
app:get("/timeout/stream", { timeout = 0.05 }, function()
  return perilune.stream(function(write)
    write("a")
    async.sleep(0.1)
    write("b")
  end)
end)

app:get("/leave/{how}", { cancel_on_disconnect = true }, function()
  note("leave_started", true)
  local guard <close> = noting("leave_closed")
  assert(guard)
  async.sleep(3600)
end)

app:get("/leave/failing", { cancel_on_disconnect = true }, function()
  async.gather(function()
    note("failing_started", true)
    pcall(async.sleep, 3600)
    error("while leaving", 0)
  end)
end)

app:get("/stay", function(req)
  note("stay_started", true)
  while not req:is_disconnected() do async.sleep(0.001) end
  note("stayed", true)
  return "nobody reads this"
end)

app:get("/blocking/stay", perilune.blocking(function(req)
  while not req:is_disconnected() do async.sleep(0.001) end
  return "nobody"
end))

return app
