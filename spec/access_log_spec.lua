-- access_log_spec.lua - the access log of real servers: what its lines say, and that nobody waits.
--
-- Text lines are read with the pattern that readers of the Combined Log Format use, JSON lines as
-- JSON. Pipes that nobody reads are FIFOs in a directory that ends with the spec.

local json = require "perilune.json"
local lfs = require "lfs"
local program = require "support.program"
local raw = require "support.raw"
local server = require "support.server"

local WIRE, STREAMS = "spec/apps/wire", "spec/apps/streams"
local HOST = "Host: example.com\r\n"
local COMBINED = '^(%S+) %- %- %[([^%]]+)%] (".-[^\\]") (%d+) (%d+) (".-[^\\]") (".-[^\\]") (.*)$'
local CLOSE_TO_S = 60
local LONG_TARGET = "/" .. ("x"):rep(8000)
local PIPE_LINES = 600 -- of LONG_TARGET: more than a pipe and the server hold

local directory, path
local servers, directories = {}, {}

before_each(function()
  directory = program.make_directory()
  path = directory .. "/access.log"
end)

after_each(function()
  while #servers > 0 do table.remove(servers):kill() end
  while #directories > 0 do program.remove_directory(table.remove(directories)) end
  program.remove_directory(directory)
end)

--- The directory of an app that ends with the spec.
local function make_app(files)
  local app = program.make_directory(files)
  directories[#directories + 1] = app
  return app
end

local function start(app, ...)
  local started = server.start(app, { "--access-log", path, ... })
  servers[#servers + 1] = started
  return started
end

local function get(target, fields)
  return ("GET %s HTTP/1.1\r\n%s%s\r\n"):format(target, HOST, fields or "")
end

local function ask(web, bytes)
  return raw.request(web.port, bytes)
end

local function lines_of(file)
  local lines = {}
  for line in program.read(file or path):gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  return lines
end

--- The lines that the server wrote until its end.
local function stop(web)
  assert.equal(0, web:stop(), web:log())
  return lines_of()
end

--- A line of the text form by the names of its fields.
local function parse(line)
  local address, time, request, status, bytes, referer, agent, rest = line:match(COMBINED)
  assert.is_truthy(address, line)
  local line_of = { address = address, time = time, asked = request, referer = referer,
    agent = agent, status = tonumber(status), bytes = tonumber(bytes) }
  for name, value in rest:gmatch '(%w+)=("?[^" ]*"?)' do line_of[name] = value end
  return line_of
end

--- The lines of a file once it has so many.
local function wait_for_lines(count, file)
  return assert(program.wait(10, function()
    local lines = lines_of(file)
    return #lines >= count and lines
  end), "the lines do not come")
end

describe("a line", function()
  it("is in the Combined Log Format, with further fields behind", function()
    local web = start(WIRE)
    ask(web, get("/query?q=abc", "Referer: http://other/\r\nUser-Agent: spec/1.0\r\n"))
    local line = parse(stop(web)[1])
    assert.equal("127.0.0.1", line.address)
    assert.is_truthy(line.time:find "^%d%d/%a%a%a/%d%d%d%d:%d%d:%d%d:%d%d %+0000$")
    assert.equal('"GET /query?q=abc HTTP/1.1"', line.asked)
    assert.equal(200, line.status)
    assert.equal(3, line.bytes)
    assert.equal('"http://other/"', line.referer)
    assert.equal('"spec/1.0"', line.agent)
    assert.equal('"example.com"', line.host)
    assert.equal("http", line.scheme)
    assert.equal("0", line.worker)
    assert.is_truthy(line.ms:find "^%d+%.%d%d%d$")
    assert.is_truthy(line.request:find("^" .. ("%x"):rep(16) .. "$"))
    assert.is_nil(line.delivered)
  end)

  it("is an object with --log-format json, and with auto in a file", function()
    local other = start(WIRE, "--log-format", "auto")
    ask(other, get "/")
    assert.equal(200, json.decode(stop(other)[1]).status)
    assert(os.remove(path))
    local web = start(WIRE, "--log-format", "json")
    ask(web, get("/nap/30", "User-Agent: a \"b\" \\\r\n"))
    ask(web, "GET /nothing HTTP/1.0\r\n\r\n")
    local lines = stop(web)
    local line = json.decode(lines[1])
    local year, month, day, hour, minute, second =
      line.time:match "^(%d+)%-(%d+)%-(%d+)T(%d+):(%d+):(%d+)%.%d%d%dZ$"
    local time = os.time { year = year, month = month, day = day, hour = hour, min = minute,
      sec = second }
    local utc = os.date("!*t")
    utc.isdst = false
    assert.is_true(math.abs(os.difftime(os.time(utc), time)) < CLOSE_TO_S)
    assert.is_true(line.ms >= 30)
    assert.is_truthy(line.request:find("^" .. ("%x"):rep(16) .. "$"))
    line.time, line.ms, line.request = nil, nil, nil
    assert.same({ remote_addr = "127.0.0.1", method = "GET", target = "/nap/30", version = "1.1",
      status = 200, bytes = 5, host = "example.com", scheme = "http", user_agent = 'a "b" \\',
      worker = 0, delivered = true }, line)
    line = json.decode(lines[2])
    line.time, line.ms = nil, nil
    assert.same({ remote_addr = "127.0.0.1", method = "GET", target = "/nothing", version = "1.0",
      status = 404, bytes = 22, scheme = "http", worker = 0, delivered = true }, line)
  end)

  it("has the request's id of the log", function()
    local web = start(WIRE)
    ask(web, get "/error")
    local line = parse(stop(web)[1])
    assert.equal(500, line.status)
    assert.equal(web:log():match " request=(%x+)", line.request)
  end)

  it("names the client behind a trusted proxy", function()
    local web = start(WIRE, "--trusted-proxies", "127.0.0.1")
    ask(web, get("/", "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n"
      .. "X-Forwarded-Host: shop.example\r\n"))
    local line = parse(stop(web)[1])
    assert.equal("203.0.113.7", line.address)
    assert.equal("https", line.scheme)
    assert.equal('"shop.example"', line.host)
  end)

  it("cannot be forged by what a client sends", function()
    local web = start(WIRE)
    local evil = 'x" 200 5 "-" "\\ \xff\x80 \xc3\xa4 \xe2\x80\xa8\xc2\x9b\tend'
    ask(web, get('/a"b', ("User-Agent: %s\r\nReferer: \"\r\n"):format(evil)))
    local lines = stop(web)
    assert.equal(1, #lines)
    local line = parse(lines[1])
    assert.equal([["x\" 200 5 \"-\" \"\\ \xff\x80 ]] .. "\xc3\xa4" .. [[ \u2028\x9b\tend"]],
      line.agent)
    assert.equal([["\""]], line.referer)
  end)
end)

describe("every answer has one:", function()
  it("those made without Lua, and refusals", function()
    local web = start(WIRE, "--max-header-size", "1k", "--header-timeout", "0.2")
    local expected = {
      { get "/nothing", 404, '"GET /nothing HTTP/1.1"' },
      { ("DELETE /echo HTTP/1.1\r\n%s\r\n"):format(HOST), 405, '"DELETE /echo HTTP/1.1"' },
      { get "/message/", 308, '"GET /message/ HTTP/1.1"' },
      { "\1\2\r\n\r\n", 400, '"-"' },
      { "GET / HTTP/1.1\r\n\r\n", 400, '"GET / HTTP/1.1"' },
      { "POST / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, '"POST / HTTP/1.1"' },
      { get("/big", "X: " .. ("x"):rep(2000) .. "\r\n"), 431, '"GET /big HTTP/1.1"' },
      { "BREW / HTTP/1.1\r\n\r\n", 501, '"-"' },
      { "GET /slow HTTP/1.1\r\nHost: h\r\nX", 408, '"GET /slow HTTP/1.1"' },
      { get "/", 200, '"GET / HTTP/1.1"' },
    }
    for _, row in ipairs(expected) do assert.equal(row[2], ask(web, row[1]).status) end
    local lines = stop(web)
    assert.equal(#expected, #lines)
    for i, row in ipairs(expected) do
      local line = parse(lines[i])
      assert.equal(row[2], line.status)
      assert.equal(row[3], line.asked)
      assert.equal("127.0.0.1", line.address)
    end
  end)

  it("pipelined ones, in the order of the answers", function()
    local web = start(WIRE)
    local client = raw.connect(web.port)
    client:send(get "/nap/50" .. get "/nothing" .. get "/message" .. "rubbish\r\n\r\n")
    for _ = 1, 4 do client:receive_response() end
    client:close()
    local statuses = {}
    for i, line in ipairs(stop(web)) do statuses[i] = parse(line).status end
    assert.same({ 200, 404, 200, 400 }, statuses)
  end)

  it("streams when they end, with the bytes that were sent", function()
    local web = start(STREAMS)
    local body = ask(web, get "/three").body
    local old = ask(web, "GET /three HTTP/1.0\r\n\r\n").body
    assert.equal(body, old)
    local lines = stop(web)
    assert.is_true(parse(lines[1]).bytes > #body) -- in chunks
    assert.equal(#body, parse(lines[2]).bytes)
  end)

  it("files, with the part of them that was sent", function()
    local app = make_app { ["app.lua"] = [[
      local perilune = require "perilune"
      local app = perilune.app { name = "files" }
      app:get("/file", function() return perilune.file "data.txt" end)
      return app
    ]], ["data.txt"] = ("x"):rep(300000) }
    local web = start(app)
    local whole = ask(web, get "/file")
    assert.equal(300000, #whole.body)
    assert.equal(206, ask(web, get("/file", "Range: bytes=10-109\r\n")).status)
    assert.equal(304, ask(web, get("/file", ("If-None-Match: %s\r\n"):format(whole.headers.etag)))
      .status)
    local seen = {}
    for i, line in ipairs(stop(web)) do
      seen[i] = { parse(line).status, parse(line).bytes, parse(line).delivered or "true" }
    end
    assert.same({ { 200, 300000, "true" }, { 206, 100, "true" }, { 304, 0, "true" } }, seen)
  end)

  it("compressed ones, with the bytes that were sent", function()
    local app = make_app { ["app.lua"] = [[
      local app = require "perilune".app { name = "compressed" }
      app:get("/{n:int}", function(req) return ("x"):rep(req.params.n) end)
      return app
    ]] }
    local web = start(app)
    local bytes = {}
    for i, size in ipairs { 5000, 500000 } do -- at once, and on another thread
      bytes[i] = #ask(web, get("/" .. size, "Accept-Encoding: gzip\r\n")).body
      assert.is_true(bytes[i] < size / 10)
    end
    for i, line in ipairs(stop(web)) do assert.equal(bytes[i], parse(line).bytes) end
  end)

  it("those that were lost, with what had been taken", function()
    local web = start(STREAMS)
    local client = raw.connect(web.port)
    client:send(get "/endless")
    local taken = 0
    while taken < 100000 do taken = taken + #assert(client.tcp:receive(1000)) end
    client:reset()
    local line = parse(wait_for_lines(1)[1])
    assert.equal("false", line.delivered)
    assert.equal("127.0.0.1", line.address)
    assert.equal(200, line.status)
    assert.is_true(line.bytes > 90000)
    assert.equal(0, web:stop(), web:log())
    assert.equal(1, #lines_of())
  end)

  it("those whose client had left before the answer", function()
    local web = start(WIRE)
    local client = raw.connect(web.port)
    client:send(get "/sleep/300")
    assert.is_truthy(web:wait_log "(ms=300)")
    client:reset()
    local line = parse(wait_for_lines(1)[1])
    assert.equal("false", line.delivered)
    assert.equal("127.0.0.1", line.address)
    assert.equal(0, line.bytes)
    assert.equal(0, web:stop(), web:log())
  end)
end)

describe("the file", function()
  it("is complete when the server has ended", function()
    local web = start(WIRE, "--workers", "2")
    local clients = {}
    for i = 1, 20 do
      clients[i] = raw.connect(web.port)
      clients[i]:send(get "/":rep(50))
    end
    for _, client in ipairs(clients) do
      for _ = 1, 50 do client:receive_response() end
      client:close()
    end
    assert.equal(1000, #stop(web))
  end)

  it("is appended to", function()
    local file <close> = assert(io.open(path, "w"))
    assert(file:write "before\n")
    file:close()
    local web = start(WIRE)
    ask(web, get "/")
    local lines = stop(web)
    assert.equal("before", lines[1])
    assert.equal(2, #lines)
  end)

  it("is opened again at SIGUSR1", function()
    local web = start(WIRE)
    ask(web, get "/one")
    wait_for_lines(1)
    local old = directory .. "/access.log.1"
    assert(os.rename(path, old))
    ask(web, get "/two")
    wait_for_lines(2, old)
    web:signal "USR1"
    assert.is_true(program.wait(10, function() return lfs.attributes(path) ~= nil end))
    ask(web, get "/three")
    assert.equal(1, #stop(web))
    assert.equal(2, #lines_of(old))
    assert.is_truthy(lines_of()[1]:find("/three", 1, true))
  end)

  it("that cannot be opened again is written on", function()
    local web = start(WIRE)
    local old = path
    ask(web, get "/one")
    wait_for_lines(1)
    assert(os.rename(path, directory .. "/access.log.1"))
    assert(lfs.mkdir(path))
    web:signal "USR1"
    assert.is_truthy(web:wait_log "(cannot open the access log again[^\n]+ on a directory)")
    ask(web, get "/two")
    assert.equal(0, web:stop(), web:log())
    assert(lfs.rmdir(old))
    assert.equal(2, #lines_of(directory .. "/access.log.1"))
  end)

  it("that cannot be opened ends the start", function()
    local result = program.run { "serve", program.root() .. "/" .. WIRE, "--access-log",
      directory .. "/none/access.log" }
    assert.equal(1, result.code)
    assert.equal(("perilune: --access-log: cannot open %s/none/access.log: no such file or "
      .. "directory\n"):format(directory), result.err)
  end)

  it("is none with off, and SIGUSR1 does nothing then", function()
    path = "off"
    local web = start(WIRE)
    web:signal "USR1"
    assert.equal("hello", ask(web, get "/").body)
    assert.equal(0, web:stop(), web:log())
    assert.is_nil(lfs.attributes(program.root() .. "/off"))
  end)
end)

describe("standard output", function()
  it("gets the lines with -", function()
    path = "-"
    local web = start(WIRE)
    ask(web, get "/one")
    assert.equal("", web.pipe:read "l") -- the rest of the line with the process id
    assert.equal('"GET /one HTTP/1.1"', parse(web.pipe:read "l").asked)
    assert.equal(0, web:stop(), web:log())
  end)
end)

describe("a pipe", function()
  local function start_with_pipe(...)
    assert(os.execute(program.quote { "mkfifo", path }))
    return start(WIRE, ...)
  end

  --- Answers so many requests that the pipe and what may wait for it are full.
  local function fill(web)
    local client = raw.connect(web.port)
    for _ = 1, PIPE_LINES do
      client:send(get(LONG_TARGET))
      assert.equal(404, client:receive_response().status)
    end
    client:close()
  end

  it("that nobody reads holds nothing up; lines are dropped, and the log says so", function()
    local web = start_with_pipe()
    fill(web)
    local dropped = tonumber((web:wait_log "access log lines dropped lines=(%d+)"))
    assert.is_true(dropped > 0 and dropped < PIPE_LINES)
    assert.equal("hello", ask(web, get "/").body)
    assert.equal(0, web:stop(), web:log())
    local total = 0
    for count in web:log():gmatch "lines dropped lines=(%d+)" do total = total + tonumber(count) end
    local kept = PIPE_LINES + 1 - total
    assert.is_true(kept >= 6 and kept <= 8, kept) -- the pipe has 64 KiB
  end)

  it("that is read again gets whole lines", function()
    local web = start_with_pipe()
    fill(web)
    assert.is_truthy(web:wait_log "(access log lines dropped)")
    local copy = directory .. "/copy"
    local reader = assert(io.popen(("exec cat '%s' >'%s'"):format(path, copy)))
    assert.is_true(program.wait(10, function() return #lines_of(copy) > 100 end))
    ask(web, get "/last")
    assert.is_true(program.wait(10, function()
      return program.read(copy):find("/last HTTP", 1, true) ~= nil
    end))
    assert.equal(0, web:stop(), web:log())
    reader:close()
    for _, line in ipairs(lines_of(copy)) do parse(line) end
  end)
end)
