-- test_open_spec.lua - what specs and their apps leave open: files, watches, databases,
-- subscriptions, streams.
--
-- A run of its own over an app with specs that leave things open, or close them in every way; its
-- output is read. Whether the garbage collector has run must not matter.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"
local tap = require "support.tap"

local OPENING = [[
local fs = require "perilune.fs"
local http = require "perilune.http"
local sqlite = require "perilune.sqlite"
local topic = require "perilune.topic"

return function(url)
  return {
    file = function() return (fs.open "app.lua") end,
    tempfile = function() return (fs.tempfile()) end,
    watch = function() return (fs.watch ".") end,
    database = function() return (sqlite.open ":memory:") end,
    subscription = function() return (topic("news"):subscribe()) end,
    stream = function() return (http.get(url .. "/streams", { stream = true })) end,
  }
end
]]

local APP = [[
local async = require "perilune.async"
local perilune = require "perilune"
local sqlite = require "perilune.sqlite"
local opening = require "opening"
local app = perilune.app { name = "opens", pools = { default = { threads = 1 } } }
local at_load = sqlite.open ":memory:"
local kept = {}

local function url_of(req) return "http://" .. req.host end

local function open(req)
  local handle = opening(url_of(req))[req.params.kind]()
  return handle
end

app:get("/leaves/{kind}", function(req) open(req) return 204 end)
app:get("/keeps/{kind}", function(req)
  kept[#kept + 1] = open(req)
  return 204
end)
app:get("/closes/{kind}", function(req) open(req):close() return 204 end)
app:get("/pool/leaves/{kind}", perilune.blocking(function(req) open(req) return 204 end))
app:get("/pool/keeps/{kind}", perilune.blocking(function(req)
  kept[#kept + 1] = open(req)
  return 204
end))
local on_loop = perilune.background("ring", function(kind, keeps)
  local handle = opening()[kind]()
  if keeps then kept[#kept + 1] = handle end
end)
app:get("/loop/leaves/{kind}", function(req) on_loop(req.params.kind) return 204 end)
app:get("/loop/keeps/{kind}", function(req) on_loop(req.params.kind, true) return 204 end)
app:get("/io/leaves", function() io.tmpfile() return 204 end)
app:get("/io/keeps", function() kept[#kept + 1] = io.tmpfile() return 204 end)
local lend = perilune.blocking(function() return sqlite.open ":memory:" end)
app:get("/lends", function()
  lend():close()
  return 204
end)
app:get("/streams", function()
  return perilune.stream(function(write)
    for _ = 1, 3 do
      write "some"
      async.sleep(0.001)
    end
  end)
end)
app:get("/endless", function()
  return perilune.stream(function(write)
    while true do
      write "some"
      async.sleep(0.001)
    end
  end)
end)
app:get("/at_load", function() return { one = at_load:value "select 1" } end)
return app
]]

local SPECS = [[
local async = require "perilune.async"
local fs = require "perilune.fs"
local http = require "perilune.http"
local sqlite = require "perilune.sqlite"
local test = require "perilune.test"
local topic = require "perilune.topic"
local opening = require "opening"

local KINDS = { "file", "tempfile", "watch", "database", "subscription", "stream" }
local CHECKS = { file = "files", tempfile = "files", watch = "watches", database = "databases",
  subscription = "subscriptions", stream = "streams" }
local client

local function clean() collectgarbage() collectgarbage() end
local function open(kind)
  local handle = opening(client.url)[kind]()
  return handle
end
--- A client for each spec that is open before it and after it.
local function with_client(options, specs)
  before_each(function() client = test.client(options) end)
  after_each(function() client:close() end)
  specs()
end

describe("left:", function()
  with_client({ stall_limit = 60 }, function()
    for _, kind in ipairs(KINDS) do
      it(kind .. " in a spec", function() open(kind) end)
      it(kind .. " in a spec, collected", function() open(kind) clean() end)
      it(kind .. " in a handler", function() client:get("/leaves/" .. kind) end)
      it(kind .. " in the pool", function() client:get("/pool/leaves/" .. kind) end)
    end
    it("database on a loop", function() client:get "/loop/leaves/database" end)
    it("io in a handler", function() client:get "/io/leaves" end)
    it("io in a spec", function() io.tmpfile() end)
  end)
end)

describe("left:", function()
  it("by a client that is closed", function()
    local closed = test.client { stall_limit = 60 }
    closed:get "/keeps/database"
    closed:get "/pool/keeps/file"
    closed:get "/loop/keeps/watch"
    closed:get "/io/keeps"
    closed:close()
  end)
end)

describe("off:", function()
  for _, kind in ipairs(KINDS) do
    describe(kind, function()
      with_client({ stall_limit = 60, checks = { [ CHECKS[kind] ] = false } }, function()
        it("is left", function() open(kind) clean() end)
      end)
    end)
  end
end)

describe("right:", function()
  with_client({ stall_limit = 60 }, function()
    for _, kind in ipairs(KINDS) do
      it(kind .. " is closed", function()
        open(kind):close()
        client:get("/closes/" .. kind)
        clean()
      end)
      it(kind .. " is kept by the app", function()
        client:get("/keeps/" .. kind)
        clean()
        client:get("/pool/keeps/" .. kind)
        if kind ~= "stream" then client:get("/loop/keeps/" .. kind) end
        client:get "/io/keeps"
      end)
    end
    it("scopes close", function()
      do
        local file <close> = fs.tempfile()
        local db <close> = sqlite.open ":memory:"
        local news <close> = topic("news"):subscribe()
      end
      clean()
    end)
    it("loops close", function()
      local writer = async.spawn(function()
        while true do
          topic("news"):publish(1)
          fs.write("changed.txt", "1")
          async.sleep(0.001)
        end
      end)
      for _ in topic("news"):subscribe() do break end
      for _ in fs.watch(".") do break end
      writer:cancel()
      for _ in http.get(client.url .. "/endless", { stream = true }):chunks() do break end
      for _ in http.get(client.url .. "/streams", { stream = true }):chunks() do end
      os.remove(client.app.dir .. "/changed.txt")
    end)
    it("a cancelled reader", function()
      local res = http.get(client.url .. "/endless", { stream = true })
      pcall(async.timeout, 0.05, function() for _ in res:chunks() do async.checkpoint() end end)
      res:close()
    end)
    it("a database that crosses", function()
      client:get "/lends"
      clean()
    end)
    it("what is open at load", function()
      assert.equal(1, client:get("/at_load"):json().one)
    end)
  end)
end)

describe("right:", function()
  it("what a closed client has opened at load", function()
    local closed = test.client { stall_limit = 60 }
    closed:get "/at_load"
    closed:close()
    clean()
  end)
end)
]]

local SHOWN = { file = "a file", tempfile = "a file", watch = "a watch of fs.watch",
  database = "a database", subscription = "a subscription",
  stream = "the stream of a response" }

--- Lines of opening.lua.
local LINES = { file = 8, tempfile = 9, watch = 10, database = 11, subscription = 12, stream = 13 }

describe("what is left open", function()
  local result, failures

  setup(function()
    local directory = program.make_directory { ["app.lua"] = APP, ["opening.lua"] = OPENING,
      ["spec/opens_spec.lua"] = SPECS }
    result = program.run { "test", directory, "-o", "TAP" }
    program.remove_directory(directory)
    failures = tap.failures(result.out)
  end)

  local function expect(name, kind)
    local failure = failures[name]
    assert.is_truthy(failure, name .. " has not failed: " .. result.out .. result.err)
    assert.matches(("%s was left open that [^\n]*opening.lua:%d has opened"):format(SHOWN[kind],
      LINES[kind]), failure)
  end

  for kind in pairs(LINES) do
    it("fails the spec that has opened it, collected or not: " .. kind, function()
      expect("left: " .. kind .. " in a spec", kind)
      expect("left: " .. kind .. " in a spec, collected", kind)
    end)

    it("fails the spec whose app has opened it: " .. kind, function()
      expect("left: " .. kind .. " in a handler", kind)
      expect("left: " .. kind .. " in the pool", kind)
    end)
  end

  it("is found on a loop, and with io", function()
    expect("left: database on a loop", "database")
    assert.matches("a file was left open that .*app.lua:33 has opened",
      failures["left: io in a handler"])
    assert.matches("a file was left open that .*opens_spec.lua:36 has opened",
      failures["left: io in a spec"])
  end)

  it("is what an app has kept whose client is closed", function()
    for _, kind in ipairs { "database", "file", "watch" } do
      expect("left: by a client that is closed", kind)
    end
    assert.matches("a file was left open that .*app.lua:34 has opened",
      failures["left: by a client that is closed"])
  end)

  it("is not looked at where its check is off", function()
    for name in pairs(failures) do assert.is_nil(name:find "^off:", failures[name]) end
  end)

  it("is not what was closed, or is kept by an app", function()
    for name in pairs(failures) do assert.is_nil(name:find "^right:", failures[name]) end
  end)

  it("is all that fails", function()
    assert.equal(1, result.code)
    assert.matches("\n24 passed, 28 failed\n$", result.out)
  end)
end)
