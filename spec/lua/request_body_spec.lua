-- request_body_spec.lua - bodies that are read bit by bit, their limits, and clients that leave.
--
-- spec/apps/streams runs as a process of its own; raw connections send bodies in pieces. Route
-- options timeout, max_body, stream_body and cancel_on_disconnect are here too.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local json = require "perilune.json"
local observed = require "support.observed"
local raw = require "support.raw"
local site = require "support.site"
local wait = require "support.wait"

local app

setup(function() app = observed.start("streams", { "--body-timeout", "1" }) end)
teardown(function() app:kill() end)

after_each(function() app:close_connections() end)

local function post_head(path, fields)
  return ("POST %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(path, fields)
end

local function post(path, body)
  local connection = app:connect()
  connection:send(post_head(path, ("Content-Length: %d\r\n"):format(#body)) .. body)
  return connection:receive_response()
end

local function chunked(...)
  local parts = {}
  for i, text in ipairs { ... } do parts[i] = ("%x\r\n%s\r\n"):format(#text, text) end
  return table.concat(parts) .. "0\r\n\r\n"
end

local BIG = ("0123456789abcdef"):rep(200000)

for _, where in ipairs { "", "/blocking" } do
  describe("req:chunks() in a handler at " .. where .. "/", function()
    it("gives a body with a length", function()
      assert.equal(5, json.decode(post(where .. "/chunks", "hello").body).total)
    end)

    it("gives a large one", function()
      assert.equal(#BIG, json.decode(post(where .. "/chunks", BIG).body).total)
    end)

    it("gives none of an empty one", function()
      assert.equal(0, json.decode(post(where .. "/chunks", "").body).total)
    end)

    it("gives a chunked one", function()
      local connection = app:connect()
      connection:send(post_head(where .. "/chunks", "Transfer-Encoding: chunked\r\n"))
      connection:send(chunked("hello", " ", "world"))
      assert.equal(11, json.decode(connection:receive_response().body).total)
      connection:send(post_head(where .. "/chunks", "Content-Length: 2\r\n") .. "ab")
      assert.equal(2, json.decode(connection:receive_response().body).total)
    end)

    it("lets the next request come when its end was not waited for", function()
      local connection = app:connect()
      local next_one = post_head(where .. "/chunks", "Content-Length: 2\r\n") .. "ab"
      for size = 65530, 65540 do -- about as much as is read before it is taken
        local body = ("x"):rep(size)
        connection:send(post_head(where .. "/chunks", ("Content-Length: %d\r\n"):format(size)))
        connection:send(body)
        assert.equal(size, json.decode(connection:receive_response().body).total)
        connection:send(next_one)
        assert.equal(2, json.decode(connection:receive_response().body).total)
      end
    end)

    it("can be written out while it comes", function()
      local connection = app:connect()
      connection:send(post_head(where .. "/echo", "Content-Length: 10\r\n") .. "hello")
      local bytes = ""
      wait.wait_until(function()
        connection.tcp:settimeout(0.05)
        local more, _, part = connection.tcp:receive(4096)
        bytes = bytes .. (more or part or "")
        return bytes:find("hello", 1, true)
      end)
      connection:send "world"
      bytes = bytes .. connection:receive_until_closed()
      assert.truthy(bytes:find("\r\n5\r\nworld\r\n0\r\n\r\n", 1, true), bytes)
    end)

    it("raises what is wrong with the body", function()
      local connection = app:connect()
      connection:send(post_head(where .. "/chunks", "Transfer-Encoding: chunked\r\n"))
      connection:send "3\r\nabc\r\nnonsense\r\n"
      local res = connection:receive_response()
      assert.equal(400, res.status)
      assert.equal("close", res.headers.connection)
      assert.is_true(connection:is_closed())
    end)

    it("raises 408 when nothing comes any more", function()
      local connection = app:connect()
      connection:send(post_head(where .. "/chunks", "Content-Length: 10\r\n") .. "hello")
      assert.equal(408, connection:receive_response().status)
      assert.is_true(connection:is_closed())
    end)
  end)
end

describe("a streamed body", function()
  it("is not read from the socket while nobody takes it", function()
    local connection = app:connect()
    connection:send(post_head("/held", ("Content-Length: %d\r\n"):format(64 << 20)))
    app:until_seen "held"
    local piece = ("x"):rep(1 << 20)
    local sent = 0
    connection.tcp:settimeout(0.3)
    while sent < 64 do
      local last, _, part = connection.tcp:send(piece)
      if not last then
        piece = piece:sub((part or 0) + 1)
        break
      end
      sent = sent + 1
    end
    assert.truthy(sent < 64, "the server took all of it")
    app:get "/go"
    connection:send(piece)
    for _ = sent + 2, 64 do connection:send(("x"):rep(1 << 20)) end
    assert.equal(64 << 20, json.decode(connection:receive_response(30).body).total)
  end)

  it("that is not read to its end closes the connection behind the answer", function()
    for path, status in pairs { ["/unread"] = 200, ["/refused"] = 403, ["/first"] = 200 } do
      local connection = app:connect()
      connection:send(post_head(path, "Content-Length: 1000000\r\n") .. "hello")
      local res = connection:receive_response()
      assert.equal(status, res.status)
      assert.equal("close", res.headers.connection)
      connection:try_send(("x"):rep(1000))
      connection:half_close()
      assert.is_true(connection:is_closed())
    end
  end)

  it("is asked for when it is read, not before", function()
    local connection = app:connect()
    local expect = "Content-Length: 5\r\nExpect: 100-continue\r\n"
    connection:send(post_head("/chunks", expect))
    assert.equal(100, connection:receive_response().status)
    connection:send "hello"
    assert.equal(5, json.decode(connection:receive_response().body).total)
    connection:send(post_head("/refused", expect))
    assert.equal(403, connection:receive_response().status)
    assert.is_true(connection:is_closed())
  end)

  it("is not in req.body, which says so", function()
    assert.equal(500, post("/body", "x").status)
    assert.equal(500, post("/json", "{}").status)
    wait.for_log(app, "(the body of this route is streamed: read it with req:chunks%(%))")
  end)

  it("cannot be read once the request has ended", function()
    assert.equal("kept", post("/keep-chunks", "abc").body)
    local res = app:get("/use-chunks"):json()
    assert.is_false(res.ok)
    assert.truthy(res.err:find("the request has ended: read its body in the handler", 1, true))
  end)

  for _, path in ipairs { "/chunks", "/wrapped/chunks", "/blocking/chunks" } do
    it("breaks when the client leaves in the middle of " .. path .. ", in one line", function()
      local connection = app:connect()
      connection:send(post_head(path, "Content-Length: 1000\r\n") .. "hello")
      connection:reset()
      local pattern = "[^\n]*target=" .. path .. " [^\n]*before the end[^\n]*\n[^\n]*"
      local line = wait.for_log(app, "(" .. pattern .. ")")
      assert.truthy(line:find(" info  handler ended", 1, true))
      assert.falsy(line:find("traceback", 1, true))
    end)
  end
end)

describe("req:chunks() of a body that was buffered", function()
  it("gives it in one piece, and leaves req.body", function()
    local res = json.decode(post("/buffered-chunks", "abc").body)
    assert.same({ "abc" }, res.parts)
    assert.equal("abc", res.body)
    assert.same({}, json.decode(post("/buffered-chunks", "").body).parts)
  end)
end)

describe("max_body", function()
  for _, path in ipairs { "/tiny", "/small" } do
    it("answers 413 before the body is read: " .. path, function()
      local connection = app:connect()
      connection:send(post_head(path, "Content-Length: 11\r\nExpect: 100-continue\r\n"))
      assert.equal(413, connection:receive_response().status)
      assert.is_true(connection:is_closed())
    end)

    it("counts a chunked body: " .. path, function()
      local connection = app:connect()
      connection:send(post_head(path, "Transfer-Encoding: chunked\r\n"))
      connection:send(chunked("12345", "67890", "1"))
      assert.equal(413, connection:receive_response().status)
    end)

    it("takes what fits: " .. path, function()
      assert.equal(200, post(path, "1234567890").status)
    end)
  end

  it("may be above that of the server", function()
    assert.equal(413, post("/buffered-chunks", ("x"):rep(11 << 20)).status)
    assert.equal(200, post("/large", ("x"):rep(11 << 20)).status)
  end)
end)

describe("timeout", function()
  local function get(path)
    return raw.request(app.port, ("GET %s HTTP/1.1\r\nHost: a\r\n\r\n"):format(path))
  end

  it("cancels a handler that waits: 503", function()
    local res = get "/timeout"
    assert.equal(503, res.status)
    assert.equal('{"detail":"Service Unavailable"}', res.body)
    assert.same({ ok = false, kind = "cancelled" }, app:seen "timeout")
    wait.for_log(app, "(handler timed out)")
  end)

  it("counts for a handler that swallowed it", function()
    assert.equal(503, get("/timeout/swallowed").status)
  end)

  it("reaches computing handlers of both kinds", function()
    assert.equal(503, get("/timeout/computing").status)
    assert.equal(503, get("/timeout/blocking").status)
  end)

  it("is answered by on_status(503) where the app has one", function()
    local client = site.open "overdue"
    local res = client:get "/late"
    assert.equal(503, res.status)
    assert.same({ sorry = "/late" }, res:json())
    assert.equal('{"detail":"Service Unavailable"}', client:get("/late?plain").body)
    client:close()
  end)

  it("leaves others alone, and the stream a handler has returned", function()
    assert.equal("in time", get("/timeout/enough").body)
    assert.equal("ab", get("/timeout/stream").body)
  end)
end)

describe("a client that leaves", function()
  local function leave(path, started, how)
    local connection = app:connect()
    connection:send(("GET %s HTTP/1.1\r\nHost: a\r\n\r\n"):format(path))
    app:until_seen(started)
    connection[how](connection)
  end

  it("cancels the handler when its route asks for it", function()
    leave("/leave/reset", "leave_started", "reset")
    app:until_seen "leave_closed"
    wait.for_log(app, "(handler cancelled)")
  end)

  it("has errors logged that come up while its handler is cancelled", function()
    leave("/leave/failing", "failing_started", "reset")
    wait.for_log(app, "handler failed [^\n]*error=\"cancelled: the client has left\"[^\n]*\n"
      .. "%s+(another one failed, too: while leaving)")
  end)

  it("is told by req:is_disconnected() otherwise", function()
    leave("/stay", "stay_started", "close")
    app:until_seen "stayed"
  end)

  it("is told in a blocking handler too", function()
    local connection = app:connect()
    connection:send "GET /blocking/stay HTTP/1.1\r\nHost: a\r\n\r\n"
    connection:half_close()
    assert.equal("nobody", connection:receive_response().body)
  end)
end)
