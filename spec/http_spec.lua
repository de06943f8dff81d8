-- http_spec.lua - what leaves the server for what comes in, byte by byte.
--
-- A real server process serves apps/wire; raw sockets send what no decent client would. The second
-- server has small limits and short timeouts. Every wait is for bytes, with a limit; the exact
-- order of callbacks inside is connection_spec.c's.

local raw = require "support.raw"
local server = require "support.server"

local APP = "spec/apps/wire"
local HOST = "Host: localhost\r\n"

local wire, strict
local clients = {}

setup(function()
  wire = server.start(APP)
  strict = server.start(APP, { "--max-body", "1k", "--header-timeout", "0.2", "--body-timeout",
    "0.2", "--idle-timeout", "0.3", "--max-headers", "10" })
end)

after_each(function()
  while #clients > 0 do table.remove(clients):close() end
end)

teardown(function()
  local code, strict_code = wire:stop(), strict:stop()
  assert.equal(0, code, wire:log())
  assert.equal(0, strict_code, strict:log())
end)

--- A connection that ends with the spec.
local function connect(to)
  local client = raw.connect((to or wire).port)
  clients[#clients + 1] = client
  return client
end

--- The bytes of a request; `fields` are whole header lines.
local function request(method, target, fields, body)
  local length = body and ("Content-Length: %d\r\n"):format(#body) or ""
  return ("%s %s HTTP/1.1\r\n%s%s%s\r\n%s"):format(method, target, HOST, fields or "", length,
    body or "")
end

local function get(target, fields)
  return request("GET", target, fields)
end

local function ask(bytes, to)
  return raw.request((to or wire).port, bytes)
end

--- The server answers the bytes with that status and then closes.
local function expect_refusal(status, bytes, to)
  local client = connect(to)
  client:try_send(bytes)
  local response = client:receive_response()
  assert.equal(status, response.status)
  assert.equal("close", response.headers.connection)
  assert.is_true(client:is_closed())
  return response
end

local function expect_serving(to)
  assert.equal("hello", ask(get "/", to).body)
end

describe("a response", function()
  it("has status, length, type and date", function()
    local response = ask(get "/")
    assert.equal(200, response.status)
    assert.equal("OK", response.reason)
    assert.equal("1.1", response.version)
    assert.equal("hello", response.body)
    assert.equal("5", response.headers["content-length"])
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    assert.is_truthy(response.headers.date:find "^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$")
  end)

  it("is JSON for a table", function()
    local response = ask(get "/message")
    assert.equal('{"message":"hello"}', response.body)
    assert.equal("application/json", response.headers["content-type"])
  end)

  it("has no body and no length when it is 204", function()
    local client = connect()
    client:send(get "/status/204" .. get "/")
    local response = client:receive_response()
    assert.equal(204, response.status)
    assert.is_nil(response.headers["content-length"])
    assert.equal("hello", client:receive_response().body)
  end)

  it("may be large", function()
    local bytes = 5 * 1024 * 1024
    local response = ask(get("/large/" .. bytes))
    assert.is_true(response.body == ("x"):rep(bytes))
  end)

  it("is a 500 that tells nothing when the handler raises", function()
    local response = ask(get "/error")
    assert.equal(500, response.status)
    assert.equal('{"detail":"Internal Server Error"}', response.body)
    assert.is_truthy(wire:wait_log "(boom)")
    assert.is_truthy(wire:wait_log "app.lua:%d+: boom")
    expect_serving()
  end)

  it("comes from the pool too", function()
    assert.equal("from the pool", ask(get "/blocking").body)
  end)
end)

describe("the handler", function()
  it("gets parameters and query, decoded", function()
    local response = ask(get "/users/7?verbose=a+b%26c")
    assert.equal(200, response.status)
    assert.is_truthy(response.body:find('"id":7', 1, true))
    assert.is_truthy(response.body:find('"verbose":"a b&c"', 1, true))
    assert.equal('{"id":-7}', ask(get "/users/-7").body)
    assert.equal(404, ask(get "/users/seven").status)
    assert.equal("a b/c.txt", ask(get "/files/a%20b/c.txt").body)
    assert.equal("", ask(get "/query?q").body)
    assert.equal(400, ask(get "/query").status)
  end)

  it("gets header fields in any case, repeated ones joined", function()
    assert.equal("a, b", ask(get("/header", "x-word: a\r\nX-WORD:  b \r\n")).body)
    assert.equal("none", ask(get "/header").body)
  end)

  it("gets the body, by length or in chunks", function()
    assert.equal("abc", ask(request("POST", "/echo", nil, "abc")).body)
    assert.equal("", ask(request("POST", "/echo", nil, "")).body)
    assert.equal(201, ask(request("PUT", "/echo", nil, "\0\r\n\255")).status)
    assert.equal("\0\r\n\255", ask(request("PUT", "/echo", nil, "\0\r\n\255")).body)
    local chunked = request("POST", "/echo", "Transfer-Encoding: chunked\r\n")
      .. "3\r\nabc\r\nA;name=value\r\n0123456789\r\n0\r\nX-Trailer: x\r\n\r\n"
    assert.equal("abc0123456789", ask(chunked).body)
    local large = ("0123456789"):rep(100000)
    assert.is_true(ask(request("POST", "/echo", nil, large)).body == large)
  end)

  it("gets a request that comes byte by byte", function()
    local client = connect()
    local bytes = request("POST", "/echo", nil, "abcd")
      .. request("POST", "/echo", "Transfer-Encoding: chunked\r\n") .. "2\r\nef\r\n0\r\n\r\n"
    for byte in bytes:gmatch "." do client:send(byte) end
    assert.equal("abcd", client:receive_response().body)
    assert.equal("ef", client:receive_response().body)
  end)

  it("is not bothered by a body that is no JSON", function()
    local response = ask(request("POST", "/json", nil, '{"a":'))
    assert.equal(400, response.status)
    assert.is_truthy(response.body:find '^{"detail":".*JSON')
    assert.equal('{"a":1}', ask(request("POST", "/json", nil, ' {"a": 1} ')).body)
  end)

  it("is asked to go on before a body is sent", function()
    local client = connect()
    client:send(request("POST", "/echo", "Expect: 100-continue\r\nContent-Length: 2\r\n"))
    assert.equal(100, client:receive_response().status)
    client:send "hi"
    assert.equal("hi", client:receive_response().body)
  end)
end)

describe("a connection", function()
  it("is kept for further requests", function()
    local client = connect()
    for _ = 1, 3 do
      client:send(get "/")
      local response = client:receive_response()
      assert.equal("hello", response.body)
      assert.is_nil(response.headers.connection)
    end
  end)

  it("is closed when the client asks for it", function()
    local client = connect()
    client:send(get("/", "Connection: close\r\n"))
    assert.equal("close", client:receive_response().headers.connection)
    assert.is_true(client:is_closed())
  end)

  it("gives the responses to pipelined requests in their order", function()
    local client = connect()
    client:send(get "/nap/150" .. get "/" .. get "/nothing" .. get "/blocking"
      .. request("POST", "/echo", nil, "abc"))
    assert.equal("awake", client:receive_response().body)
    assert.equal("hello", client:receive_response().body)
    assert.equal(404, client:receive_response().status)
    assert.equal("from the pool", client:receive_response().body)
    assert.equal("abc", client:receive_response().body)
  end)

  it("takes many requests at once", function()
    local client = connect()
    client:send(get "/":rep(500))
    for _ = 1, 500 do assert.equal("hello", client:receive_response().body) end
  end)

  it("of HTTP/1.0 is closed unless it is to be kept", function()
    local client = connect()
    client:send "GET / HTTP/1.0\r\n\r\n"
    local response = client:receive_response()
    assert.equal(200, response.status)
    assert.equal("hello", response.body)
    assert.is_true(client:is_closed())
    client = connect()
    client:send "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert.equal("keep-alive", client:receive_response().headers.connection)
    client:send "GET / HTTP/1.0\r\n\r\n"
    assert.equal("hello", client:receive_response().body)
    assert.is_true(client:is_closed())
  end)

  it("that the client half-closes is still answered", function()
    local client = connect()
    client:send(get "/sleep/50")
    client:half_close()
    assert.equal("slept", client:receive_response().body)
    assert.is_true(client:is_closed())
  end)

  it("that is reset anywhere leaves the server serving", function()
    local whole = request("POST", "/echo", nil, ("x"):rep(100))
    for _, length in ipairs { 0, 1, 10, #whole - 100, #whole - 1, #whole } do
      local client = raw.connect(wire.port)
      client:send(whole:sub(1, length))
      client:reset()
    end
    local client = raw.connect(wire.port)
    client:send(get "/sleep/187")
    assert.is_truthy(wire:wait_log "ms=187")
    client:reset()
    client = raw.connect(wire.port)
    client:send(get "/large/10000000")
    client:reset()
    expect_serving()
  end)

  it("does not wait for a thousand others", function()
    local many = {}
    for i = 1, 1000 do many[i] = connect() end
    for _, client in ipairs(many) do client:send(get "/nap/100") end
    for _, client in ipairs(many) do
      local response = client:receive_response()
      assert.equal(200, response.status)
      assert.equal("awake", response.body)
    end
    expect_serving()
  end)
end)

describe("without a handler", function()
  it("HEAD is answered from GET", function()
    local client = connect()
    client:send(request("HEAD", "/") .. request("HEAD", "/nothing") .. get "/")
    local response = client:receive_response(nil, true)
    assert.equal(200, response.status)
    assert.equal("5", response.headers["content-length"])
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    assert.equal(404, client:receive_response(nil, true).status)
    assert.equal("hello", client:receive_response().body)
  end)

  it("an unknown path is 404", function()
    local response = ask(get "/nothing")
    assert.equal(404, response.status)
    assert.equal('{"detail":"Not Found"}', response.body)
    assert.equal("application/json", response.headers["content-type"])
  end)

  it("another method is 405 with what is allowed", function()
    local response = ask(request("DELETE", "/echo"))
    assert.equal(405, response.status)
    assert.equal("POST, PUT, OPTIONS", response.headers.allow)
    assert.equal("GET, HEAD, OPTIONS", ask(request("POST", "/", nil, "x")).headers.allow)
  end)

  it("OPTIONS says what is allowed", function()
    local response = ask(request("OPTIONS", "/echo"))
    assert.equal(204, response.status)
    assert.equal("POST, PUT, OPTIONS", response.headers.allow)
    assert.is_truthy(ask(request("OPTIONS", "*")).headers.allow:find "GET")
  end)

  it("a slash too much is 308", function()
    local response = ask(get "/message/?a=b")
    assert.equal(308, response.status)
    assert.equal("/message?a=b", response.headers.location)
  end)
end)

describe("what is no good request", function()
  it("is 400", function()
    expect_refusal(400, "GET / HTTP/1.1\r\n\r\n")
    expect_refusal(400, "GET / HTTP/1.1\r\n" .. HOST .. HOST .. "\r\n")
    expect_refusal(400, "\1\2\3\r\n\r\n")
    expect_refusal(400, get("/", "no colon\r\n"))
    expect_refusal(400, get("/", "Name : x\r\n"))
    expect_refusal(400, "GET / HTTP/1.1\r\n: x\r\n" .. HOST .. "\r\n")
    expect_refusal(400, get("/", ": x\r\n"))
    expect_refusal(400, get("/", "Name:\r\n: x\r\n"))
    expect_refusal(400, get("/", " folded: x\r\n"))
    expect_refusal(400, get "nothing")
    expect_refusal(400, get("/", "X: a\0b\r\n"))
  end)

  it("is 400 when its body could be read in two ways", function()
    local lengths = "Content-Length: 3\r\nContent-Length: 4\r\n"
    expect_refusal(400, request("POST", "/echo", lengths) .. "abcd")
    expect_refusal(400, request("POST", "/echo", "Content-Length: -1\r\n"))
    expect_refusal(400, request("POST", "/echo", "Content-Length: +1\r\n"))
    expect_refusal(400, request("POST", "/echo", "Content-Length: 3\r\n"
      .. "Transfer-Encoding: chunked\r\n") .. "0\r\n\r\n")
    expect_refusal(400, request("POST", "/echo", "Transfer-Encoding: chunked\r\n") .. "x\r\n\r\n")
    expect_refusal(400, request("POST", "/echo", "Transfer-Encoding: chunked\r\n")
      .. "3\r\nabcd\r\n0\r\n\r\n")
  end)

  it("is 414 when its target is too long", function()
    assert.equal(404, ask(get("/" .. ("x"):rep(8000))).status)
    expect_refusal(414, get("/" .. ("x"):rep(8192)))
  end)

  it("is 431 when its header is too large", function()
    assert.equal(200, ask(get("/", "X: " .. ("x"):rep(15000) .. "\r\n")).status)
    expect_refusal(431, get("/", "X: " .. ("x"):rep(16384) .. "\r\n"))
    assert.equal(200, ask(get("/", ("X: x\r\n"):rep(9)), strict).status)
    expect_refusal(431, get("/", ("X: x\r\n"):rep(10)), strict)
  end)

  it("is 413 when its body is too large", function()
    local most = ("x"):rep(1024)
    assert.equal(most, ask(request("POST", "/echo", nil, most), strict).body)
    expect_refusal(413, request("POST", "/echo", nil, most .. "x"), strict)
    expect_refusal(413, request("POST", "/echo", nil, most:rep(1000)), strict)
    expect_refusal(413, request("POST", "/echo", "Content-Length: 99999999999\r\n"), strict)
    expect_refusal(413, request("POST", "/echo", "Transfer-Encoding: chunked\r\n")
      .. "400\r\n" .. most .. "\r\n1\r\nx\r\n0\r\n\r\n", strict)
  end)

  it("is 501 when it wants what there is not", function()
    expect_refusal(501, request("BREW", "/"))
    expect_refusal(501, request("POST", "/echo", "Transfer-Encoding: gzip, chunked\r\n"))
  end)

  it("is 417 when it expects something else", function()
    expect_refusal(417, request("POST", "/echo", "Expect: miracles\r\n", "x"))
  end)

  it("is 505 when it is another version", function()
    expect_refusal(505, "GET / HTTP/2.0\r\n" .. HOST .. "\r\n")
    expect_refusal(505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
  end)

  it("does not keep the good ones before it from being answered", function()
    local client = connect()
    client:send(get "/sleep/50" .. get "/" .. "\1rubbish\r\n\r\n")
    assert.equal("slept", client:receive_response().body)
    assert.equal("hello", client:receive_response().body)
    assert.equal(400, client:receive_response().status)
    assert.is_true(client:is_closed())
  end)
end)

describe("a client that takes too long", function()
  it("with the header is told 408", function()
    expect_refusal(408, "GET / HTTP/1.1\r\nHost: lo", strict)
    expect_refusal(408, "G", strict)
  end)

  it("with the body is told 408", function()
    expect_refusal(408, request("POST", "/echo", "Content-Length: 5\r\n") .. "abc", strict)
  end)

  it("with its next request is left", function()
    local client = connect(strict)
    assert.is_true(client:is_closed())
    client = connect(strict)
    client:send(get "/")
    assert.equal("hello", client:receive_response().body)
    assert.is_true(client:is_closed())
    expect_serving(strict)
  end)

  it("is not one that waits for its response", function()
    assert.equal("slept", ask(get "/sleep/600", strict).body)
  end)
end)
