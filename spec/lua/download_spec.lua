-- download_spec.lua - large files: memory, descriptors, clients that leave or wait, and the end of
-- the server.
--
-- The files are sparse, so they cost no disk. What a server holds is read in /proc. A whole file of
-- 2 GiB is read with PERILUNE_LARGE=1 in the environment; else one of 256 MiB, for time's sake.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local files_site = require "support.files_site"
local lfs = require "lfs"
local program = require "support.program"
local raw = require "support.raw"
local wait = require "support.wait"

local MIB, GIB = 1024 * 1024, 1024 * 1024 * 1024
local LARGE_BYTES = os.getenv "PERILUNE_LARGE" and 2 * GIB or 256 * MIB
local READ_LIMIT_S = 60
local MEMORY_MAX_KIB = 64 * 1024
local CLIENTS = 20

local app

setup(function()
  app = files_site.start { "--write-timeout", "600" }
  assert(os.execute(("truncate -s 2G '%s/public/huge.bin'"):format(app.dir)))
  assert(os.execute(("truncate -s %d '%s/public/whole.bin'"):format(LARGE_BYTES, app.dir)))
end)
teardown(function() files_site.stop(app) end)

local function memory_kib()
  local status = program.read(("/proc/%d/status"):format(app.pid))
  return tonumber(status:match "VmHWM:%s*(%d+) kB")
end

--- Descriptors of regular files below the app's directory.
local function open_files()
  local count, path = 0, ("/proc/%d/fd"):format(app.pid)
  for name in lfs.dir(path) do
    local target = lfs.symlinkattributes(path .. "/" .. name, "target")
    if target and target:find(app.dir, 1, true) and target:find("%.bin") then count = count + 1 end
  end
  return count
end

local function ask(target)
  local client = raw.connect(app.port)
  client:send(("GET %s HTTP/1.1\r\nHost: a\r\n\r\n"):format(target))
  return client
end

--- Reads some bytes; the server is in the middle of it then.
local function take_some(client)
  local bytes = assert(client.tcp:receive(1000))
  assert.is_truthy(bytes:find("Content-Length: " .. 2 * GIB, 1, true))
end

--- How many bytes come until the server ends its side.
local function count_bytes(client)
  local count = 0
  client.tcp:settimeout(READ_LIMIT_S)
  while true do
    local bytes, problem, part = client.tcp:receive(MIB)
    count = count + #(bytes or part)
    if not bytes then
      assert.equal("closed", problem)
      return count
    end
  end
end

describe("a large file", function()
  it("comes whole, and costs less than 64 MiB of memory", function()
    local client = raw.connect(app.port)
    client:send "GET /whole.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    local count = count_bytes(client)
    assert.is_true(count > LARGE_BYTES and count < LARGE_BYTES + 1000, count)
    client:close()
    assert.is_true(memory_kib() < MEMORY_MAX_KIB, memory_kib())
    wait.wait_until(function() return open_files() == 0 end)
  end)

  it("has its last bytes past 2^31", function()
    local client = raw.connect(app.port)
    client:send "GET /huge.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=-5\r\n\r\n"
    local res = client:receive_response()
    assert.equal("bytes 2147483643-2147483647/2147483648", res.headers["content-range"])
    assert.equal(("\0"):rep(5), res.body)
    client:close()
  end)
end)

describe("clients in the middle of a file", function()
  it("may leave: nothing stays open", function()
    local clients = {}
    for i = 1, CLIENTS do
      clients[i] = ask "/huge.bin"
      take_some(clients[i])
    end
    assert.equal(CLIENTS, open_files())
    for i, client in ipairs(clients) do
      if i % 2 == 0 then client:reset() else client:close() end
    end
    wait.wait_until(function() return open_files() == 0 end)
    assert.is_nil(app:log():find "error", app:log())
    assert.is_true(memory_kib() < MEMORY_MAX_KIB, memory_kib())
  end)

  it("do not keep others waiting", function()
    local clients = {}
    for i = 1, CLIENTS do
      clients[i] = ask "/huge.bin"
      take_some(clients[i])
    end
    local res = raw.request(app.port, "GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal("hello, file", res.body)
    for _, client in ipairs(clients) do client:close() end
    wait.wait_until(function() return open_files() == 0 end)
  end)
end)

describe("a server that stops", function()
  it("finishes files within its drain timeout", function()
    local other = files_site.start()
    assert(os.execute(("truncate -s 32M '%s/public/some.bin'"):format(other.dir)))
    local client = raw.connect(other.port)
    client:send "GET /some.bin HTTP/1.1\r\nHost: a\r\n\r\n"
    assert(client.tcp:receive(1000))
    other:signal "TERM"
    other:wait_log "(stopping)"
    assert.is_true(count_bytes(client) > 31 * MIB)
    client:close()
    assert.equal(0, other:wait())
    files_site.remove(other.dir)
  end)

  it("gives up those of clients that take nothing", function()
    local other = files_site.start { "--drain-timeout", "0.2" }
    assert(os.execute(("truncate -s 1G '%s/public/some.bin'"):format(other.dir)))
    local client = raw.connect(other.port)
    client:send "GET /some.bin HTTP/1.1\r\nHost: a\r\n\r\n"
    assert(client.tcp:receive(1000))
    assert.equal(0, other:stop())
    client:close()
    files_site.remove(other.dir)
  end)
end)
