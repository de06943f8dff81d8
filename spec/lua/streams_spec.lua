-- streams_spec.lua - responses that functions write: perilune.stream, perilune.sse, and their ends.
--
-- spec/apps/streams runs as a process of its own, so that raw connections can be slow, leave, or
-- end one side while it serves. What happened there is told by its route /seen.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local observed = require "support.observed"
local raw = require "support.raw"
local site = require "support.site"
local wait = require "support.wait"

local app

setup(function() app = observed.start "streams" end)
teardown(function() app:kill() end)

after_each(function() app:close_connections() end)

local function get(path, version)
  return raw.request(app.port, ("GET %s HTTP/%s\r\nHost: a\r\n\r\n"):format(path, version or "1.1"))
end

--- Opens a connection and asks for a path on it.
local function ask(path)
  local connection = app:connect()
  connection:send(("GET %s HTTP/1.1\r\nHost: a\r\n\r\n"):format(path))
  return connection
end

describe("perilune.stream", function()
  it("sends what is written, in chunks", function()
    local res = get "/three"
    assert.equal("one two 3", res.body)
    assert.equal("chunked", res.headers["transfer-encoding"])
    assert.is_nil(res.headers["content-length"])
    assert.equal("text/plain; charset=utf-8", res.headers["content-type"])
  end)

  it("ends with the connection for an HTTP/1.0 client", function()
    local res = get("/three", "1.0")
    assert.equal("one two 3", res.body)
    assert.is_nil(res.headers["transfer-encoding"])
    assert.equal("close", res.headers["connection"])
  end)

  it("takes a status and headers", function()
    local res = get "/typed"
    assert.equal(201, res.status)
    assert.equal("text/csv", res.headers["content-type"])
    assert.equal("b", res.headers["x-a"])
  end)

  it("may write nothing", function()
    assert.equal("", get("/none").body)
  end)

  it("has no body for HEAD and 204", function()
    local connection = app:connect()
    connection:send "HEAD /three HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.equal(200, connection:receive_response(nil, true).status)
    connection:send "GET /no-content HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.equal(204, connection:receive_response().status)
    connection:send "GET /three HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.equal("one two 3", connection:receive_response().body)
  end)

  it("keeps the order of pipelined requests, buffered ones between", function()
    local connection = app:connect()
    local paths = { "/three", "/typed", "/blocking/three", "/none", "/use-kept", "/three" }
    local bytes = {}
    for i, path in ipairs(paths) do
      bytes[i] = ("GET %s HTTP/1.1\r\nHost: a\r\n\r\n"):format(path)
    end
    connection:send(table.concat(bytes))
    local bodies = {}
    for i = 1, #paths do bodies[i] = connection:receive_response().body end
    assert.equal("one two 3", bodies[1])
    assert.equal("a,b\n", bodies[2])
    assert.equal("one two three", bodies[3])
    assert.equal("", bodies[4])
    assert.equal("one two 3", bodies[6])
  end)

  it("holds a stream behind a slower response without losing a byte", function()
    local connection = app:connect()
    connection:send(("GET /slow/200 HTTP/1.1\r\nHost: a\r\n\r\n"):rep(3))
    for _ = 1, 3 do assert.equal(200 * 1024, #connection:receive_response().body) end
  end)

  for _, path in ipairs { "/failing", "/bad-write", "/blocking/failing" } do
    it("cuts the connection when the function fails: " .. path, function()
      local connection = ask(path)
      local bytes = connection:receive_until_closed()
      assert.truthy(bytes:find("^HTTP/1.1 200 OK\r\n"))
      assert.is_nil(bytes:find("0\r\n\r\n", 1, true), "there is an end of the body")
    end)
  end

  it("logs why it was cut", function()
    assert.truthy(wait.for_log(app, "(in the middle)"))
    assert.truthy(wait.for_log(app, "(in the pool)"))
    assert.truthy(wait.for_log(app, "(write takes a string, not a table)"))
  end)

  it("raises when write is called after its end", function()
    get "/keep-write"
    local res = app:get("/use-kept"):json()
    assert.is_false(res.ok)
    assert.truthy(res.err:find("after the stream has ended", 1, true))
  end)

  it("makes the writer wait while the client is slow", function()
    local connection = ask "/slow/100000"
    app:until_seen "slow"
    local last
    -- once the buffers of the kernel are full the count stands still
    wait.wait_until(function()
      local before = last
      last = app:seen "slow"
      return before == last and last > 1
    end)
    assert.not_equal(100000, app:seen "done")
    assert.truthy(last < 100000, "the writer did not wait")
    assert.equal(100000 * 1024, #connection:receive_response(60).body)
    wait.wait_until(function() return app:seen "done" == 100000 end)
  end)

  it("tells the writer that the client has left", function()
    local connection = ask "/endless"
    app:until_seen "written"
    connection:reset()
    assert.equal("disconnected", app:until_seen("ended").kind)
  end)

  it("runs tasks before and after it", function()
    assert.equal("x", get("/timings").body)
    assert.same({ "now", "after_route", "stream", "after_response" }, app:until_seen "order")
  end)

  it("drops the after_response tasks when the function fails", function()
    ask("/dropped"):receive_until_closed()
    assert.is_nil(app:seen "dropped_ran")
  end)
end)

describe("response.delivered", function()
  it("is true once the response is out", function()
    assert.equal("x", get("/delivered/now").body)
    wait.wait_until(function() return app:seen "delivered" == "true" end)
    assert.equal("nil", app:seen "before")
  end)

  it("is false when the client had left before", function()
    local connection = ask "/delivered/late"
    app:until_seen "waiting"
    connection:reset()
    wait.wait_until(function() return app:seen "delivered" == "false" end)
  end)

  it("is false when the client leaves in the middle of a stream", function()
    get "/delivered/now"
    wait.wait_until(function() return app:seen "delivered" == "true" end)
    ask("/delivered/stream"):reset()
    wait.wait_until(function() return app:seen "delivered" == "false" end)
  end)
end)

describe("perilune.sse", function()
  it("sends events", function()
    local res = get "/events"
    assert.equal("text/event-stream", res.headers["content-type"])
    assert.equal("no-cache", res.headers["cache-control"])
    assert.equal(table.concat({
      "data: one\n\n",
      "event: tick\nid: 1\nretry: 10\ndata: {\"n\":1}\n\n",
      "data: two\ndata: lines\ndata: three\n\n",
      ": hi\n\n",
    }), res.body)
  end)

  local problems = {
    id = "id of an event may not contain a line break",
    event = "event of an event may not contain a line break",
    retry = "retry of an event is a whole number",
    empty = "at least one field",
    unknown = 'unknown option "dat" (did you mean "data"?)',
    data = "data of an event is a string or a table, not a boolean",
    number = "send takes { data=, event=, id=, retry= } or a string, not a number",
  }
  for name, problem in pairs(problems) do
    it("refuses a bad event: " .. name, function()
      local body = get("/bad-event/" .. name).body
      assert.truthy(body:find(problem, 1, true), body)
      assert.truthy(body:find("app.lua:%d+:"), body)
    end)
  end

  it("sends its head at once, and comments while nothing happens", function()
    local connection = ask "/forever"
    local bytes = ""
    wait.wait_until(function()
      connection.tcp:settimeout(0.05)
      local more, _, part = connection.tcp:receive(4096)
      bytes = bytes .. (more or part or "")
      return bytes:find("data: hello\n\n", 1, true) and bytes:find(":\n\n.*:\n\n")
    end)
  end)

  it("ends when the client leaves", function()
    local connection = ask "/forever"
    assert.truthy(connection.tcp:receive(1))
    connection:close()
    app:until_seen "forever_closed"
  end)
end)

describe("a stream of a blocking handler", function()
  it("runs on its pool thread", function()
    local res = get "/blocking/three"
    assert.equal("one two three", res.body)
    assert.equal("pool", res.headers["x-where"])
  end)

  it("keeps upvalues of that thread", function()
    assert.truthy(tonumber(get("/blocking/upvalue").body) >= 1)
  end)

  it("may be an event stream", function()
    local expected = 'data: {"n":1}\n\ndata: {"n":2}\n\ndata: {"n":3}\n\n'
    assert.equal(expected, get("/blocking/events").body)
  end)

  it("may be large", function()
    assert.equal(2048 * 1024, #get("/blocking/big").body)
  end)

  it("leaves its thread when the client leaves, or reads nothing of it", function()
    for _ = 1, 40 do -- more than there are threads
      local endless, forever = ask "/blocking/endless", ask "/blocking/forever"
      assert.truthy(endless.tcp:receive(1))
      assert.truthy(forever.tcp:receive(1))
      endless:reset()
      forever:close()
      local head = app:connect()
      head:send "HEAD /blocking/dropped HTTP/1.1\r\nHost: a\r\n\r\n"
      assert.equal(200, head:receive_response(nil, true).status)
    end
    assert.equal("one two three", get("/blocking/three").body)
  end)
end)

describe("the end of the server", function()
  it("ends event streams at once and lets other streams finish", function()
    local server = site.start("streams", { "--drain-timeout", "60", "--shutdown-timeout", "90" })
    local events = raw.connect(server.port)
    events:send "GET /forever HTTP/1.1\r\nHost: a\r\n\r\n"
    local slow = raw.connect(server.port)
    slow:send "GET /slow/20000 HTTP/1.1\r\nHost: a\r\n\r\n"
    wait.wait_until(function() return server:get("/seen"):json().slow end)
    assert.truthy(events.tcp:receive(1))
    server:signal "TERM"
    local bytes = events:receive_until_closed()
    assert.equal("0\r\n\r\n", bytes:sub(-5))
    assert.equal(20000 * 1024, #slow:receive_response(30).body)
    assert.equal(0, server:wait())
    events:close()
    slow:close()
  end)
end)
