-- app_spec.lua - defining an app: what is refused while it loads, and after.
--
-- Each wrong app is a directory of its own; `perilune routes` loads it and says what is wrong in
-- one line that names the place.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"
local site = require "support.site"
local test = require "perilune.test"

local function load_error(body)
  local directory = program.make_directory {
    ["app.lua"] = 'local perilune = require "perilune"\n' .. body,
  }
  local result = program.run({ "routes", directory }, { "PERILUNE_STALL_WARN=off" })
  program.remove_directory(directory)
  assert.equal(1, result.code, result.out)
  assert.equal(1, select(2, result.err:gsub("\n", "\n")), result.err)
  return result.err
end

local function assert_says(parts, body)
  local message = load_error(body)
  for _, part in ipairs(parts) do assert.is_truthy(message:find(part, 1, true), message) end
end

describe("an app", function()
  it("names both places of a route that is there twice", function()
    assert_says({ "app.lua:3", "app.lua:4", "GET /a/{y}" }, [[
      local app = perilune.app {}
      app:get("/a/{x}", function() end)
      app:get("/a/{y}", function() end)
      return app]])
  end)

  it("refuses a path that is no pattern", function()
    assert_says({ "app.lua:3", "/a/{x" }, [[
      local app = perilune.app {}
      app:get("/a/{x", function() end)
      return app]])
  end)

  it("refuses a method that is none", function()
    assert_says({ "app.lua:3", "fetch" }, [[
      local app = perilune.app {}
      app:route("fetch", "/a", function() end)
      return app]])
  end)

  it("names the nearest option", function()
    assert_says({ "app.lua:2", '"nmae"', '"name"' }, [[
      local app = perilune.app { nmae = "x" }
      return app]])
  end)

  it("says to use a colon", function()
    assert_says({ "app.lua:3", "app:get" }, [[
      local app = perilune.app {}
      app.get("/a", function() end)
      return app]])
  end)

  it("refuses a handler that is no function", function()
    assert_says({ "app.lua:3", "handler", "/a" }, [[
      local app = perilune.app {}
      app:get("/a", 7)
      return app]])
  end)

  for option, parts in pairs {
    ['tags = { "a" }'] = { '"tags" is reserved' },
    ["body = {}"] = { '"body" is reserved' },
    ["query = {}"] = { '"query" is reserved' },
    ['summary = "x"'] = { '"summary" is reserved' },
    ["tiemout = 1"] = { '"tiemout"', '"timeout"' },
    ["name = 7"] = { '"name" is a string, not a number' },
    ["timeout = 0"] = { '"timeout" is a number of seconds above 0, not 0' },
    ["timeout = 0/0"] = { '"timeout" is a number of seconds above 0' },
    ['timeout = "1"'] = { '"timeout" is a number of seconds above 0' },
    ["max_body = -1"] = { '"max_body" is a number of bytes' },
    ["max_body = 1.5"] = { '"max_body" is a number of bytes' },
    ['max_body = "20 MB"'] = { '"max_body" is a number of bytes', "20 MB" },
    ['max_body = "9999999999g"'] = { '"max_body" is a number of bytes' },
    ['max_body = "99999999999999999999"'] = { '"max_body" is a number of bytes' },
    ['stream_body = "yes"'] = { '"stream_body" is a boolean' },
    ["cancel_on_disconnect = 1"] = { '"cancel_on_disconnect" is a boolean' },
    ["middleware = print"] = { '"middleware" is a list of functions, not a function' },
    ["middleware = { 7 }"] = { "middleware 1 is a number, not a function" },
    ["middleware = { a = print }"] = { '"middleware" is a list of functions; it has the key a' },
  } do
    it("refuses the option " .. option, function()
      assert_says({ "app.lua:3: ", table.unpack(parts) }, ([[
        local app = perilune.app {}
        app:get("/a", { %s }, function() end)
        return app]]):format(option))
    end)
  end

  it("takes the options of a route", function()
    local directory = program.make_directory {
      ["app.lua"] = [[
        local perilune = require "perilune"
        local app = perilune.app {}
        app:get("/a", { name = "a", timeout = 0.5, max_body = "20m", stream_body = true,
          cancel_on_disconnect = true, middleware = { function(_, proceed) return proceed() end } },
          function() end)
        app:get("/b", { timeout = math.huge, max_body = 0 }, function() end)
        return app]],
    }
    local result = program.run({ "routes", directory }, { "PERILUNE_STALL_WARN=off" })
    program.remove_directory(directory)
    assert.equal(0, result.code, result.err)
  end)

  it("refuses pools of no size", function()
    assert_says({ "video", "threads" }, [[
      local app = perilune.app { pools = { video = { threads = 0 } } }
      return app]])
  end)

  it("takes no routes once it has loaded", function()
    local client = test.client(site.dir "results")
    local ok, message = pcall(client.app.get, client.app, "/later", function() end)
    client:close()
    assert.is_false(ok)
    assert.is_truthy(message:find("while the app loads", 1, true), message)
  end)
end)
