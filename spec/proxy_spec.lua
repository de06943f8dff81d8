-- proxy_spec.lua - what `req` says of a client behind proxies, over real HTTP.
--
-- The specs themselves are the proxy: 127.0.0.1 and the Unix socket are trusted. Which fields are
-- believed, hop by hop, is a table in c/proxy_spec.c; here it is that they reach `req`, in a pool
-- thread too, that nobody is trusted by default, and what a wrong list is told.

local json = require "perilune.json"
local program = require "support.program"
local raw = require "support.raw"
local server = require "support.server"

local APP = "spec/apps/req"
local FIELDS = "X-Forwarded-For: 203.0.113.9, 198.51.100.7\r\nX-Forwarded-Proto: https\r\n"
  .. "X-Forwarded-Host: shop.example\r\n"

local servers = {}

after_each(function()
  while #servers > 0 do table.remove(servers):kill() end
end)

local function start(...)
  local started = server.start(APP, { ... })
  servers[#servers + 1] = started
  return started
end

local function show(to, path, fields)
  local request = ("GET %s HTTP/1.1\r\nHost: inner:8080\r\n%s\r\n"):format(path, fields)
  return json.decode(raw.request(to, request).body)
end

describe("a trusted proxy", function()
  it("says who the client is, and what it asked for", function()
    local web = start("--trusted-proxies", "127.0.0.0/8, ::1")
    for _, path in ipairs { "/show", "/blocking/show" } do
      local shown = show(web.port, path, FIELDS)
      assert.equal("198.51.100.7", shown.remote_addr)
      assert.equal("https", shown.scheme)
      assert.equal("shop.example", shown.host)
      assert.equal("https://shop.example" .. path, shown.url)
      assert.equal("inner:8080", shown.headers.host)
    end
  end)

  it("says it by Forwarded too", function()
    local web = start("--trusted-proxies", "127.0.0.1")
    local shown = show(web.port, "/show?a=b",
      'Forwarded: for="[2001:db8::7]:5000";proto=https;host=shop.example\r\n')
    assert.equal("2001:db8::7", shown.remote_addr)
    assert.equal("https://shop.example/show?a=b", shown.url)
  end)

  it("may come by a Unix socket", function()
    local directory = program.make_directory()
    local path = directory .. "/web.sock"
    local web = server.spawn(APP, { "--unix", path, "--trusted-proxies", "unix" })
    servers[#servers + 1] = web
    web:wait_log "listening"
    assert.equal("198.51.100.7", show(path, "/show", FIELDS).remote_addr)
    assert.equal("unix:", show(path, "/show", "").remote_addr)
    assert.equal(0, web:stop())
    program.remove_directory(directory)
  end)

  it("is believed by the fields that it was said to write", function()
    local web = start("--trusted-proxies", "127.0.0.1", "--proxy-fields", "forwarded")
    assert.equal("127.0.0.1", show(web.port, "/show", FIELDS).remote_addr)
    assert.equal("192.0.2.1",
      show(web.port, "/show", FIELDS .. "Forwarded: for=192.0.2.1\r\n").remote_addr)
  end)
end)

describe("nobody else", function()
  it("is believed", function()
    for _, arguments in ipairs { {}, { "--trusted-proxies", "unix,10.0.0.0/8" } } do
      local web = start(table.unpack(arguments))
      local shown = show(web.port, "/show", FIELDS .. "Forwarded: for=192.0.2.1\r\n")
      assert.equal("127.0.0.1", shown.remote_addr)
      assert.equal("http://inner:8080/show", shown.url)
    end
  end)
end)

describe("a list that is none", function()
  it("is refused before anything starts", function()
    local dir = program.root() .. "/" .. APP
    local result = program.run { "serve", dir, "--trusted-proxies", "10.0.0.0/40" }
    assert.equal(2, result.code)
    assert.equal('perilune: --trusted-proxies: "10.0.0.0/40" is not a list of IP addresses, '
      .. "networks and unix (like 127.0.0.1,10.0.0.0/8,fd00::/8)\n", result.err)
    result = program.run({ "serve", dir }, { "PERILUNE_TRUSTED_PROXIES=proxy.example" })
    assert.equal(1, result.code)
    assert.is_truthy(result.err:find("PERILUNE_TRUSTED_PROXIES: \"proxy.example\" is not", 1, true))
  end)
end)
