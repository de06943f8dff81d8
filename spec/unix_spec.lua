-- unix_spec.lua - where a server listens: Unix sockets with what may be in their way, and IPv6.
--
-- Real processes; each socket file stands in a directory of its own that ends with the spec. What
-- a request says of its connection is asked of apps/req.

local json = require "perilune.json"
local lfs = require "lfs"
local program = require "support.program"
local raw = require "support.raw"
local server = require "support.server"
local unix = require "socket.unix"

local APP = "spec/apps/req"
local GET = "GET /show HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"
local WORLD_LIMIT = 107 -- bytes of a path that a Unix socket may have

local directory, path
local servers = {}

before_each(function()
  directory = program.make_directory()
  path = directory .. "/web.sock"
end)

after_each(function()
  while #servers > 0 do table.remove(servers):kill() end
  os.remove(path)
  program.remove_directory(directory)
end)

--- A server on the Unix socket that ends with the spec.
local function start(...)
  local started = server.spawn(APP, { "--unix", path, ... })
  servers[#servers + 1] = started
  local shown = started:wait_log "listening[^\n]-unix:(%S+)"
  assert.equal(path, shown, started:log())
  return started
end

local function show()
  return json.decode(raw.request(path, GET).body)
end

local function mode_of(file)
  return lfs.symlinkattributes(file, "permissions")
end

--- `serve` fails with one line that has these words.
local function expect_failure(socket_path, words)
  local result = program.run { "serve", program.root() .. "/" .. APP, "--unix", socket_path }
  assert.equal(1, result.code)
  assert.equal(("perilune: cannot listen on unix:%s: %s\n"):format(socket_path, words), result.err)
end

describe("a Unix socket", function()
  it("is served instead of a TCP port, and removed at the end", function()
    local web = start()
    local shown = show()
    assert.equal("unix:", shown.remote_addr)
    assert.equal("example.com", shown.host)
    assert.equal("http://example.com/show", shown.url)
    assert.is_nil(web:log():find("http://", 1, true))
    assert.equal(0, web:stop(), web:log())
    assert.is_nil(lfs.symlinkattributes(path))
  end)

  it("is shared by all workers", function()
    local web = start("--workers", "3")
    local clients = {}
    for i = 1, 30 do clients[i] = raw.connect(path) end
    for _, client in ipairs(clients) do client:send(GET) end
    for _, client in ipairs(clients) do
      assert.equal(200, client:receive_response().status)
      assert.is_true(client:is_closed())
      client:close()
    end
    assert.equal(0, web:stop(), web:log())
    assert.is_nil(lfs.symlinkattributes(path))
  end)

  it("can be connected to by everybody, or by whom --unix-mode lets", function()
    start():stop()
    start()
    assert.equal("rw-rw-rw-", mode_of(path))
    table.remove(servers):stop()
    start("--unix-mode", "0620")
    assert.equal("rw--w----", mode_of(path))
  end)

  it("replaces the file of a server that is gone", function()
    start():kill()
    assert.equal("socket", lfs.symlinkattributes(path, "mode"))
    local web = start()
    assert.equal("/show", show().path)
    assert.equal(0, web:stop())
  end)

  it("does not take the place of a server that lives", function()
    local web = start()
    expect_failure(path, "another server listens there")
    assert.equal("/show", show().path)
    assert.equal(0, web:stop(), web:log())
  end)

  it("does not take the place of another file", function()
    local file <close> = assert(io.open(path, "w"))
    assert(file:write("precious"))
    assert(file:flush())
    expect_failure(path, "the file exists and is no socket")
    assert.equal("precious", program.read(path))
  end)

  it("leaves the file of a successor at the end", function()
    local web = start()
    assert(os.remove(path))
    local successor <close> = setmetatable({ socket = assert(unix.stream()) },
      { __close = function(self) self.socket:close() end })
    assert(successor.socket:bind(path))
    assert.equal(0, web:stop(), web:log())
    assert.equal("socket", lfs.symlinkattributes(path, "mode"))
  end)

  it("says what is wrong with its path", function()
    local long = directory .. "/" .. ("x"):rep(WORLD_LIMIT - #directory)
    expect_failure(long, "the path is longer than 107 bytes, the limit of Unix sockets")
    expect_failure(directory .. "/none/web.sock", "no such file or directory")
    path = long:sub(1, WORLD_LIMIT)
    start()
    assert.equal("/show", show().path)
  end)

  it("is free again as soon as its server drains", function()
    local web = start("--drain-timeout", "20")
    local client = raw.connect(path)
    client:send "GET /show HTTP/1.1\r\n"
    assert.equal(200, raw.request(path, GET).status) -- what came before has been read
    web:signal "TERM"
    assert.is_true(program.wait(10, function() return not lfs.symlinkattributes(path) end))
    local successor = start()
    client:send "Host: h\r\n\r\n"
    assert.equal(200, client:receive_response().status)
    client:close()
    assert.equal(0, web:wait(), web:log())
    assert.equal("/show", show().path)
    assert.equal(0, successor:stop(), successor:log())
  end)
end)

describe("over IPv6", function()
  --- What a request to that address is told, of a server that listens on another.
  local function show_at(host, address, ...)
    local web = server.start(APP, { "--host", host, ... })
    servers[#servers + 1] = web
    local client = raw.connect(web.port, address)
    client:send(GET)
    local shown = json.decode(client:receive_response().body)
    client:close()
    return shown, web
  end

  it("a host may have brackets", function()
    for _, host in ipairs { "::1", "[::1]" } do
      local shown, web = show_at(host, "::1")
      assert.equal("::1", shown.remote_addr)
      assert.is_truthy(web:log():find(("url=http://[::1]:%d "):format(web.port), 1, true))
    end
  end)

  it("an address in Host stays as it is", function()
    local _, web = show_at("::1", "::1")
    local client = raw.connect(web.port, "::1")
    client:send(("GET /show HTTP/1.1\r\nHost: [::1]:%d\r\n\r\n"):format(web.port))
    local shown = json.decode(client:receive_response().body)
    client:close()
    assert.equal(("[::1]:%d"):format(web.port), shown.host)
    assert.equal(("http://[::1]:%d/show"):format(web.port), shown.url)
  end)

  it(":: takes IPv4 too, and names its addresses as IPv4", function()
    assert.equal("127.0.0.1", show_at("::", "127.0.0.1", "--workers", "2").remote_addr)
    assert.equal("::1", show_at("::", "::1").remote_addr)
  end)

  it("an error names the address with brackets", function()
    local _, web = show_at("::1", "::1")
    local result = program.run { "serve", program.root() .. "/" .. APP, "--host", "::1", "--port",
      tostring(web.port) }
    assert.equal(1, result.code)
    local expected = "perilune: cannot listen on [::1]:%d: address already in use (end "
    assert.equal(expected:format(web.port), result.err:match "^.-%(end ")
  end)
end)

describe("--backlog", function()
  it("is what the kernel is told", function()
    local web = server.start(APP, { "--backlog", "7" })
    servers[#servers + 1] = web
    local pipe = assert(io.popen(("ss -Hltn 'sport = :%d'"):format(web.port)))
    local line = pipe:read "a"
    pipe:close()
    if line == "" then pending "ss is not installed" return end
    assert.equal("7", line:match "^LISTEN%s+%d+%s+(%d+)")
  end)
end)
