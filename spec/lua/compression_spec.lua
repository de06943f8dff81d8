-- compression_spec.lua - what is compressed over real HTTP, how, and what its head then says.
--
-- spec/apps/compression runs as a process of its own. Heads are looked at byte by byte; bodies are
-- decoded by perilune.http, which is curl.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local raw = require "support.raw"
local site = require "support.site"

local INLINE_BYTES_MAX = 32 * 1024

local app

setup(function() app = site.start "compression" end)
teardown(function() app:kill() end)

local function ask(path, accepted, method, port)
  local accept = accepted and ("Accept-Encoding: %s\r\n"):format(accepted) or ""
  return raw.request(port or app.port,
    ("%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(method or "GET", path, accept))
end

local function text(size)
  local line = "a line of text that comes again and again\n"
  return (line:rep(size // #line + 1)):sub(1, size)
end

local function assert_plain(res, is_varying)
  assert.is_nil(res.headers["content-encoding"])
  assert.equal(is_varying and "Accept-Encoding" or nil, res.headers.vary)
end

local function assert_encoded(res, coding)
  assert.equal(coding, res.headers["content-encoding"])
  assert.equal("Accept-Encoding", res.headers.vary)
  assert.equal(tostring(#res.body), res.headers["content-length"])
end

describe("a response", function()
  for _, size in ipairs { 1024, 5000, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 3000000 } do
    for _, coding in ipairs { "gzip", "br" } do
      it(("of %d bytes comes as %s to who accepts it"):format(size, coding), function()
        local res = ask("/text/" .. size, coding)
        assert_encoded(res, coding)
        assert.is_true(#res.body < size / 5)
        local decoded = app:get("/text/" .. size, { headers = { ["Accept-Encoding"] = coding } })
        assert.is_true(decoded.body == text(size))
      end)
    end
    it(("of %d bytes is left as it is for others"):format(size), function()
      local res = ask("/text/" .. size)
      assert_plain(res, true)
      assert.is_true(res.body == text(size))
    end)
  end

  it("of less than 1 KiB is left as it is", function()
    local res = ask("/text/1023", "gzip, br")
    assert_plain(res, false)
    assert.equal(text(1023), res.body)
  end)

  it("that does not get smaller comes back as it was", function()
    for _, size in ipairs { 5000, 100000 } do
      local plain = ask("/noise/" .. size).body
      local decoded = app:get("/noise/" .. size, { headers = { ["Accept-Encoding"] = "gzip" } })
      assert.is_true(plain == decoded.body)
      decoded = app:get("/noise/" .. size, { headers = { ["Accept-Encoding"] = "br" } })
      assert.is_true(plain == decoded.body)
    end
  end)

  it("of a blocking handler, an abort or JSON is compressed too", function()
    assert_encoded(ask("/blocking/3000", "gzip"), "gzip")
    assert_encoded(ask("/json", "gzip"), "gzip")
    assert_encoded(ask("/html", "br"), "br")
    local aborted = ask("/abort", "br")
    assert.equal(422, aborted.status)
    assert_encoded(aborted, "br")
    assert.equal(2000, #app:get("/json"):json())
  end)
end)

describe("the coding", function()
  for accepted, coding in pairs {
    ["gzip"] = "gzip", ["x-gzip"] = "gzip", ["br"] = "br", ["gzip, br"] = "br", ["*"] = "br",
    ["gzip, deflate, br, zstd"] = "br", ["gzip;q=1, br;q=0.5"] = "gzip",
    ["br;q=0, *;q=0.1"] = "gzip", ["gzip;q=0"] = false, ["deflate"] = false, ["identity"] = false,
    ["identity, gzip;q=0.5"] = false, ["identity;q=0, gzip;q=0.1"] = "gzip", [""] = false,
    ["*;q=0"] = false,
  } do
    it(("for %q is %s"):format(accepted, coding or "none"), function()
      local res = ask("/text/5000", accepted)
      if coding then assert_encoded(res, coding) else assert_plain(res, true) end
    end)
  end
end)

describe("what must stay as it is", function()
  for name, path in pairs {
    ["an image"] = "/type?type=image/png",
    ["an event stream"] = "/type?type=text/event-stream",
    ["an unknown type"] = "/type?type=application/octet-stream",
    ["a part"] = "/status/206",
    ["what is encoded"] = "/with?name=Content-Encoding&value=identity",
    ["what may not be changed"] = "/with?name=Cache-Control&value=no-transform",
  } do
    it(name .. " is left", function()
      local res = ask(path, "gzip")
      assert.equal(5000, #res.body)
      assert.is_nil(res.headers.vary)
    end)
  end

  for _, status in ipairs { 204, 304 } do
    it(("%d has no content"):format(status), function()
      local res = ask("/status/" .. status, "gzip")
      assert.equal("", res.body)
      assert_plain(res, false)
    end)
  end

  it("is all of it with --compress off", function()
    local server = site.start("compression", { "--compress", "off" })
    local res = ask("/text/5000", "gzip", "GET", server.port)
    server:kill()
    assert_plain(res, false)
    assert.equal(5000, #res.body)
  end)
end)

describe("the head", function()
  it("has a weak ETag only when the body is compressed", function()
    local path = "/with?name=ETag&value=%22abc%22"
    assert.equal('W/"abc"', ask(path, "gzip").headers.etag)
    assert.equal('"abc"', ask(path).headers.etag)
    assert.equal('W/"abc"', ask("/with?name=ETag&value=W/%22abc%22", "gzip").headers.etag)
  end)

  it("has one Vary, with the handler's", function()
    assert.equal("Cookie, Accept-Encoding",
      ask("/with?name=Vary&value=Cookie", "gzip").headers.vary)
    assert.equal("*", ask("/with?name=vary&value=*", "gzip").headers.vary)
  end)

  for _, size in ipairs { 5000, 100000 } do
    it(("for HEAD is that for GET, but for the length (%d)"):format(size), function()
      local got, head = ask("/text/" .. size, "gzip"), ask("/text/" .. size, "gzip", "HEAD")
      assert.is_nil(head.headers["content-length"])
      got.headers["content-length"], got.headers.date, head.headers.date = nil, nil, nil
      assert.same(got.headers, head.headers)
      local plain = ask("/text/" .. size, nil, "HEAD")
      assert.equal(tostring(size), plain.headers["content-length"])
      assert_plain(plain, true)
    end)
  end
end)

describe("a stream", function()
  local function fetch(path, accepted)
    return app:get(path, { headers = { ["Accept-Encoding"] = accepted } })
  end

  it("is compressed as it goes, with gzip", function()
    local res = ask("/stream", "br, gzip")
    assert.equal("gzip", res.headers["content-encoding"])
    assert.equal("chunked", res.headers["transfer-encoding"])
    assert.equal("Accept-Encoding", res.headers.vary)
    assert.equal("\31\139", res.body:sub(1, 2))
    local plain = ask("/stream").body
    assert.is_true(#plain > 400000)
    assert.is_true(plain == fetch("/stream", "gzip").body)
  end)

  it("comes from blocking handlers too", function()
    assert.equal("gzip", ask("/blocking/stream", "gzip").headers["content-encoding"])
    assert.equal(ask("/blocking/stream").body, fetch("/blocking/stream", "gzip").body)
  end)

  it("may be empty", function()
    local res = fetch("/stream/empty", "gzip")
    assert.equal(200, res.status)
    assert.equal("", res.body)
  end)

  it("is left as it is for who cannot decode gzip", function()
    for _, accepted in ipairs { "br", "identity", "gzip;q=0" } do
      local res = ask("/stream", accepted)
      assert_plain(res, true)
      assert.equal("the end", res.body:sub(-7))
    end
  end)

  it("of events is left as it is", function()
    local res = ask("/sse", "gzip, br")
    assert_plain(res, false)
    assert.equal("data: ", res.body:sub(1, 6))
  end)

  it("reaches the client write by write", function()
    local connection = raw.connect(app.port)
    connection:send "GET /stream/held HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
    local function is_there() return connection.buffer:find("\0\0\255\255", 1, true) end
    while not is_there() do -- the end of a flush: RFC 1951 3.2.4
      connection.buffer = connection.buffer .. assert(connection.tcp:receive(1))
    end
    assert.equal(204, ask("/go_on").status)
    assert.equal("gzip", connection:receive_response().headers["content-encoding"])
    connection:close()
  end)

  it("lets others run, however little is left of it", function()
    assert.equal(("0"):rep(100 * 64 * 1024), fetch("/stream/zeros", "gzip").body)
    local turns = ask("/turns").body:match "%d+"
    assert.is_true(tonumber(turns) >= 50, turns)
  end)

  it("for HTTP/1.0 ends with the connection", function()
    local res = raw.request(app.port, "GET /stream HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
    assert.equal("gzip", res.headers["content-encoding"])
    assert.is_nil(res.headers["transfer-encoding"])
    assert.equal("\31\139", res.body:sub(1, 2))
  end)

  it("has the same head for HEAD", function()
    local got, head = ask("/stream", "gzip"), ask("/stream", "gzip", "HEAD")
    got.headers.date, head.headers.date = nil, nil
    assert.same(got.headers, head.headers)
  end)

  it("that breaks breaks the connection, and can be told from a whole one", function()
    assert.has_error(function() ask("/stream/breaks", "gzip") end)
    assert.equal(5, #ask("/text/5").body)
  end)
end)

describe("large responses", function()
  local function get(path, more)
    return ("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(path, more or "")
  end

  it("keep their place among pipelined requests", function()
    local connection = raw.connect(app.port)
    local gzip = "Accept-Encoding: gzip\r\n"
    connection:send(get("/text/2000000", gzip) .. get "/text/10" .. get("/text/200000", gzip)
      .. get("/text/2000", gzip) .. get("/text/11", "Connection: close\r\n"))
    local first = connection:receive_response()
    assert_encoded(first, "gzip")
    assert.equal(text(10), connection:receive_response().body)
    assert_encoded(connection:receive_response(), "gzip")
    assert_encoded(connection:receive_response(), "gzip")
    local last = connection:receive_response()
    assert.equal(text(11), last.body)
    assert.equal("close", last.headers.connection)
    assert.is_true(connection:is_closed())
    connection:close()
  end)

  it("close the connection when they are the last", function()
    local connection = raw.connect(app.port)
    connection:send(get("/text/200000", "Accept-Encoding: gzip\r\nConnection: close\r\n"))
    local res = connection:receive_response()
    assert_encoded(res, "gzip")
    assert.equal("close", res.headers.connection)
    assert.is_true(connection:is_closed())
    connection:close()
  end)

  it("may lose their client", function()
    for _ = 1, 20 do
      local connection = raw.connect(app.port)
      connection:send(get("/text/3000000", "Accept-Encoding: br\r\n"):rep(3))
      connection:reset()
    end
    assert.equal(5, #ask("/text/5").body)
  end)

  it("are sent before the server stops", function()
    local server = site.start "compression"
    local connection = raw.connect(server.port)
    connection:send(get("/text/20000000", "Accept-Encoding: br\r\n"))
    raw.request(server.port, get "/text/10")
    server:signal "TERM"
    local res = connection:receive_response(30)
    assert_encoded(res, "br")
    assert.equal(0, server:wait())
    connection:close()
  end)

  it("that nobody waits for do not hold up the end", function()
    local server = site.start "compression"
    local connection = raw.connect(server.port)
    connection:send(get("/text/20000000", "Accept-Encoding: br\r\n"))
    raw.request(server.port, get "/text/10")
    connection:reset()
    assert.equal(0, server:stop())
  end)
end)
