-- 003_ends_spec.lua - streams, bodies and waits that ended, or were left, at awkward moments.
--
-- A stream for an HTTP/1.0 client did not close its connection unless its last bytes were written
-- in its last turn; what was pipelined behind it with a streamed body was used after its end;
-- events for a client that had left before they began went on for ever; a scheduled blocking
-- function that returned a stream kept its pool thread; a wait for a body on a pool thread that was
-- given up took the next piece with it.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/regress/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local raw = require "support.raw"
local site = require "support.site"
local wait = require "support.wait"

describe("what ends awkwardly", function()
  local app
  local connections = {}

  setup(function() app = site.start "ends" end)
  teardown(function() app:kill() end)
  after_each(function()
    while #connections > 0 do table.remove(connections):close() end
  end)

  local function send(bytes)
    local connection = raw.connect(app.port)
    connections[#connections + 1] = connection
    connection:send(bytes)
    return connection
  end

  local function until_seen(name)
    return wait.wait_until(function() return app:get("/seen"):json()[name] end, nil, name)
  end

  it("is closed for an HTTP/1.0 client when the function returns, long after its last byte",
    function()
      local connection = send "GET /late-end HTTP/1.0\r\n\r\n"
      wait.wait_until(function() return connection:has_input(0) end, nil, "the response")
      app:get "/go"
      assert.equal("all", connection:receive_response().body)
    end)

  it("takes the streamed body behind it along, when the connection ends with the response",
    function()
      local connection = send("GET /late-end HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" ..
        "POST /chunks HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
      until_seen "chunk"
      app:get "/go"
      assert.equal("all", connection:receive_response().body)
      assert.equal("disconnected", until_seen "chunks")
      connection:send "more" -- is dropped
    end)

  it("ends events that begin when their client has left", function()
    local connection = send "GET /events/late HTTP/1.1\r\nHost: a\r\n\r\n"
    until_seen "waits"
    connection:reset()
    assert.is_true(until_seen "events_ended")
  end)

  it("cancels a handler whose client left before it began, where its route says so", function()
    local connection = send "GET /cancelled HTTP/1.1\r\nHost: a\r\n\r\n"
    connection:half_close()
    assert.is_true(until_seen "cancelled")
  end)

  it("loses no piece of a body to a wait on a pool thread that was given up", function()
    local connection = send "POST /patience HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"
    wait.for_log(app, "gave up")
    connection:send "abc"
    connection:send "def"
    assert.equal("abcdef", connection:receive_response().body)
  end)

  it("is no error in the log", function()
    assert.is_nil(app:log():find("Z error", 1, true), app:log())
  end)

  it("is no response of a task's function: the task fails, and the pool has its thread back",
    function()
      for _ = 1, 100 do
        assert.same({ status = "failed", kind = "transfer" }, app:get("/scheduled"):json())
      end
    end)
end)
