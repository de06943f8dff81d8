-- limits_spec.lua - every limit of requests and connections that has a flag, hit over the wire.
--
-- Servers with small limits and with short timeouts serve apps/strict. What is just within a limit
-- passes, what is past it has the consequence that `--help` names. Ends are waited for, with a
-- limit; which timer fires when is connection_timer_spec.c's, on a clock that stands still.

local raw = require "support.raw"
local request = require "support.request"
local server = require "support.server"

local APP = "spec/apps/strict"
local MIB = 1024 * 1024
local PACE_S = 0.02
local STEPS_MAX = 2000

local small, short, few, plain
local clients = {}

setup(function()
  plain = server.start(APP)
  small = server.start(APP, { "--max-header-size", "1k", "--max-headers", "10", "--max-target",
    "100", "--max-body", "1k", "--max-pipeline", "4" })
  few = server.start(APP, { "--max-connections", "2" })
  short = server.start(APP, { "--header-timeout", "0.3", "--body-timeout", "0.3",
    "--idle-timeout", "0.3", "--write-timeout", "0.3" })
end)

after_each(function()
  while #clients > 0 do table.remove(clients):close() end
end)

teardown(function()
  for _, site in ipairs { plain, small, short, few } do
    local code = site:stop()
    assert.equal(0, code, site:log())
  end
end)

--- A connection that ends with the spec.
local function connect(site)
  local client = raw.connect(site.port)
  clients[#clients + 1] = client
  return client
end

local function ask(site, bytes)
  local client = connect(site)
  client:try_send(bytes)
  local response = client:receive_response()
  return response, client
end

local function expect_answer(status, site, bytes)
  local response, client = ask(site, bytes)
  assert.equal(status, response.status)
  client:close()
end

--- The answer, then the end, and nothing of a request behind it.
local function expect_refusal(status, site, bytes)
  local response, client = ask(site, bytes)
  assert.equal(status, response.status)
  assert.equal("close", response.headers.connection)
  assert.is_truthy(response.headers.date)
  assert.is_true(client:is_closed())
  client:close()
end

--- A request whose head has that many bytes behind its target.
local function head_of(bytes)
  local rest = " HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n"
  return "GET / HTTP/1.1\r\nHost: h\r\nX: " .. ("x"):rep(bytes - #rest) .. "\r\n\r\n"
end

describe("--max-header-size", function()
  it("is the bytes behind the target, and answers 431", function()
    expect_answer(200, small, head_of(1024))
    expect_refusal(431, small, head_of(1025))
    expect_refusal(431, small, head_of(200 * 1024))
    expect_refusal(431, plain, head_of(200 * 1024))
  end)

  it("does not wait for the end of the head", function()
    expect_refusal(431, small, "GET / HTTP/1.1\r\nX: " .. ("x"):rep(1100))
    expect_refusal(431, small, "GET / HTTP/1.1\r\nX:" .. (" "):rep(1100))
    expect_refusal(431, small, "GET" .. (" "):rep(1100))
    expect_refusal(431, small, "GET / HTTP/1.1\r\nHost: h\r\n" .. ("x"):rep(1100))
  end)
end)

describe("--max-headers", function()
  it("is a number of fields, and answers 431", function()
    expect_answer(200, small, request.get(("A: b\r\n"):rep(9)))
    expect_refusal(431, small, request.get(("A: b\r\n"):rep(10)))
    expect_answer(200, plain, request.get(("A: b\r\n"):rep(99)))
    expect_refusal(431, plain, request.get(("A: b\r\n"):rep(100)))
  end)
end)

describe("--max-target", function()
  it("is the bytes of the target, and answers 414", function()
    expect_answer(404, small, request.get(nil, "/" .. ("x"):rep(99)))
    expect_refusal(414, small, request.get(nil, "/" .. ("x"):rep(100)))
    expect_refusal(414, small, request.get(nil, "/?" .. ("x"):rep(99)))
    expect_refusal(414, plain, request.get(nil, "/" .. ("x"):rep(200 * 1024)))
    expect_refusal(414, small, "GET /" .. ("x"):rep(100))
  end)
end)

describe("--max-body", function()
  it("is the bytes of a body, and answers 413", function()
    local most = ("x"):rep(1024)
    assert.equal(most, ask(small, request.sized(most)).body)
    assert.equal(most, ask(small, request.chunked("400\r\n" .. most .. "\r\n0\r\n\r\n")).body)
    expect_refusal(413, small, request.sized(most .. "x"))
    expect_refusal(413, small, request.chunked("400\r\n" .. most .. "\r\n1\r\nx\r\n0\r\n\r\n"))
  end)

  it("does not wait for the body", function()
    expect_refusal(413, small, request.post "Content-Length: 1025\r\n")
    expect_refusal(413, small, request.chunked "401\r\n")
    expect_refusal(413, small, request.chunked "200\r\n" .. ("x"):rep(512) .. "\r\n201\r\n")
  end)

  it("holds for a path that is not there", function()
    local head = "POST /nothing HTTP/1.1\r\nHost: h\r\n"
    expect_answer(404, small, head .. "Content-Length: 1024\r\n\r\n" .. ("x"):rep(1024))
    expect_refusal(413, small, head .. "Content-Length: 1025\r\n\r\n")
    expect_refusal(413, small, head .. request.CHUNKED .. "\r\n401\r\n")
  end)

  it("gives way to max_body of the route", function()
    local head = "POST /small HTTP/1.1\r\nHost: h\r\n"
    expect_answer(200, plain, head .. "Content-Length: 16\r\n\r\n0123456789abcdef")
    expect_refusal(413, plain, head .. "Content-Length: 17\r\n\r\n")
    expect_refusal(413, plain, head .. request.CHUNKED .. "\r\n11\r\n")
  end)

  it("lets a client that sends 50 MB first read the answer", function()
    local body = ("x"):rep(50 * MIB)
    for _, bytes in ipairs { request.sized(body),
      request.chunked(("%X\r\n"):format(#body) .. body .. "\r\n0\r\n\r\n") } do
      local client = connect(plain)
      assert.is_true(client:try_send(bytes))
      assert.equal(413, client:receive_response().status)
      assert.is_true(client:is_closed())
    end
  end)
end)

describe("--max-pipeline", function()
  it("is how many requests of a connection run at once", function()
    local client = connect(small)
    client:send(request.get(nil, "/busy"):rep(11) .. request.get(nil, "/busiest"))
    for _ = 1, 11 do assert.equal("done", client:receive_response().body) end
    assert.equal("4", client:receive_response().body)
  end)
end)

describe("--max-connections", function()
  it("keeps a further one waiting until another has ended", function()
    local first, second = connect(few), connect(few)
    first:send(request.get())
    assert.equal("hello", first:receive_response().body)
    second:send(request.get())
    assert.equal("hello", second:receive_response().body)
    local third = connect(few)
    third:send(request.get())
    assert.is_false(third:has_input(PACE_S * 5))
    second:send(request.get())
    assert.equal("hello", second:receive_response().body)
    first:close()
    assert.equal("hello", third:receive_response().body)
  end)
end)

--- Sends a byte at a time, at a pace, until the server answers; how many it took.
local function trickle(client, start, bytes)
  client:send(start)
  for i = 1, STEPS_MAX do
    if client:has_input(PACE_S) then return i end
    client:try_send(bytes)
  end
  error "the server waits for ever"
end

describe("--header-timeout", function()
  it("answers 408 and closes", function()
    expect_refusal(408, short, "G")
    expect_refusal(408, short, "GET / HTTP/1.1\r\nHost: h\r\n")
    expect_refusal(408, short, "GET / HTTP/1.1\r\nHost: h\r\n\r")
    expect_refusal(408, short, "BREW")
  end)

  it("is for the whole head, however it trickles in", function()
    local client = connect(short)
    assert.is_true(trickle(client, "GET / HTTP/1.1\r\nA: ", "b") > 1)
    assert.equal(408, client:receive_response().status)
    assert.is_true(client:is_closed())
  end)

  it("holds behind an answered request", function()
    local client = connect(short)
    client:send(request.get() .. "GET /")
    assert.equal("hello", client:receive_response().body)
    assert.equal(408, client:receive_response().status)
    assert.is_true(client:is_closed())
  end)
end)

describe("--body-timeout", function()
  it("answers 408 and closes", function()
    expect_refusal(408, short, request.post("Content-Length: 5\r\n", "abc"))
    expect_refusal(408, short, request.post "Content-Length: 5\r\n")
    expect_refusal(408, short, request.chunked "5\r\nabc")
    expect_refusal(408, short, request.chunked "5\r\nabcde\r\n0\r\n")
  end)
end)

describe("--idle-timeout", function()
  it("closes without a word", function()
    local client = connect(short)
    assert.is_true(client:is_closed())
    client = connect(short)
    client:send(request.get())
    assert.equal("hello", client:receive_response().body)
    assert.is_true(client:is_closed())
  end)

  it("is not put off by empty lines", function()
    local client = connect(short)
    trickle(client, "\r\n", "")
    assert.is_true(client:is_closed())
  end)
end)

describe("--write-timeout", function()
  it("closes on a client that does not read, and says so", function()
    local client = connect(short)
    client:send(request.get(nil, "/large/" .. 50 * MIB))
    assert.equal("false", short:wait_log "large[^\n]*delivered=\"?(%a+)")
    assert.is_true(#client:receive_until_closed() < 50 * MIB)
  end)
end)
