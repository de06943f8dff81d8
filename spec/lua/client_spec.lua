-- client_spec.lua - perilune.http against Perilune itself, in every place that Lua code runs in.
--
-- The cases are functions in spec/apps/client, tried against that app in a process of its own: run
-- here in the spec's fiber, then in a plain handler, in a thread of the pool and on a background
-- loop. What is about many requests, or about this process, stands at the end.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = ("%s/?.lua;%s/apps/client/?.lua;%s"):format(spec, spec, package.path)

local async = require "perilune.async"
local cases = require "cases"
local expect = require "expect"
local http = require "perilune.http"
local program = require "support.program"
local site = require "support.site"

local server, client
local long = {} -- tasks of what takes a second, which runs beside all the rest

--- Gives the answer, and how long it took.
local function wait_as_told()
  local begun = async.now()
  local res = http.get(server.url .. "/flaky/" .. expect.new_key(),
    { retries = 1, backoff = { initial = 0 }, query = { after = 1, times = 1 } })
  return res.status, async.now() - begun
end

--- Reads a stream for longer than the time of its head.
local function read_for_long()
  local options = { stream = true, timeout = 1, query = { beats = 1 } }
  local res <close> = http.get(server.url .. "/trickle/x", options)
  local until_then = async.now() + 1.1
  for _ in res:chunks() do
    if async.now() > until_then then return true end
  end
end

setup(function()
  server = site.start "client"
  client = site.open "client"
  long.told, long.read = async.spawn(wait_as_told), async.spawn(read_for_long)
end)
teardown(function()
  client:close()
  server:kill()
end)

local names = {}
for name in pairs(cases) do names[#names + 1] = name end
table.sort(names)

describe("in a spec,", function()
  for _, name in ipairs(names) do it(name, function() cases[name](server.url) end) end
end)

--- Runs a case in a handler of the client's app.
local function run_in(place, name)
  local path = ("/%s/%s"):format(place, name:gsub("[^%w]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end))
  return client:get(path, { query = { base = server.url }, timeout = expect.LONG })
end

for _, place in ipairs { "plain", "blocking", "background" } do
  describe(("in a %s handler, beside the others,"):format(place), function()
    local tasks = {}
    setup(function()
      for _, name in ipairs(names) do tasks[name] = async.spawn(run_in, place, name) end
    end)
    for _, name in ipairs(names) do
      it(name, function() assert.equal("went well", tasks[name]:wait().body) end)
    end
  end)
end

describe("many requests", function()
  local function open_files_max()
    local pipe <close> = assert(io.popen "ulimit -n")
    return tonumber(pipe:read "l") or math.huge
  end

  it("run at once, so many as the limit says", function()
    if open_files_max() < 4096 then return pending "needs more open files" end
    local calls = {}
    for i = 1, 1100 do calls[i] = { http.get, server.url .. "/crowd", { timeout = 120 } } end
    local most = 0
    for _, res in ipairs(async.gather(calls)) do
      assert.equal(200, res.status)
      most = math.max(most, res:json().most)
    end
    assert.is_true(most >= 1000 and most <= 1024)
  end)
end)

describe("a slow reader", function()
  local function resident_bytes()
    return tonumber(program.read("/proc/self/status"):match "VmRSS:%s+(%d+) kB") * 1024
  end

  it("holds little, however much comes", function()
    local key = expect.new_key()
    local res <close> = http.get(server.url .. "/flood/" .. key, { stream = true })
    local next_piece = res:chunks()
    for _ = 1, 100 do next_piece() end
    collectgarbage()
    local before, bytes = resident_bytes(), 0
    while bytes < 32 << 20 do bytes = bytes + #next_piece() end
    local written = expect.seen(server.url, key).count * 64 * 1024
    assert.is_true(written < bytes + (16 << 20), ("%d written"):format(written))
    if os.getenv "SANITIZE" then return end -- its own memory is most of it then
    assert.is_true(resident_bytes() - before < 16 << 20)
  end)
end)

describe("a server that cannot answer now", function()
  it("says when it can", function()
    local status, seconds = long.told:wait()
    assert.equal(200, status)
    assert.is_true(seconds >= 1)
  end)
end)

describe("the time of a stream", function()
  it("ends with its head", function() assert.is_true(long.read:wait()) end)
end)

describe("a relative path", function()
  it("is below the app's directory", function()
    local res = client:get("/relative", { query = { base = server.url } })
    assert.equal("app.lua", res.body)
  end)
end)
