-- routing_load_spec.lua - what must not load: clashes across groups and mounts, and wrong calls.
--
-- Each wrong app is a directory of its own; `perilune routes` loads it and says what is wrong in
-- one line that names the place, or both.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"

--- Runs `perilune routes` on an app with this body, whose first line is line 3.
local function load(body)
  local directory = program.make_directory {
    ["app.lua"] = 'local perilune = require "perilune"\nlocal app = perilune.app {}\n' .. body
      .. "\nreturn app\n",
  }
  local result = program.run({ "routes", directory }, { "PERILUNE_STALL_WARN=off" })
  program.remove_directory(directory)
  return result
end

local function assert_says(body, ...)
  local result = load(body)
  assert.equal(1, result.code, result.out)
  assert.equal(1, select(2, result.err:gsub("\n", "\n")), result.err)
  for _, part in ipairs { ... } do
    assert.is_truthy(result.err:find(part, 1, true), result.err)
  end
end

describe("two routes of one method and pattern clash", function()
  it("in a group and outside of it", function()
    assert_says([[
      app:group("/a", function(g) g:get("/{x}", print) end)
      app:get("/a/{y}", print)]], "app.lua:3", "app.lua:4", "GET /a/{y}")
  end)

  it("at / and at nothing in a group", function()
    assert_says([[
      app:group("/a", function(g) g:get("/", print)
        g:get("", print) end)]], "app.lua:3", "app.lua:4", "GET /a")
  end)

  it("in two mounts", function()
    assert_says([[
      local r = perilune.router {}
      r:get("/x", print)
      app:mount("/a", r)
      app:mount("/a", r)]], "GET /a/x", "app.lua:4, mounted at", "app.lua:5", "app.lua:6")
  end)
end)

describe("names", function()
  it("are unique", function()
    assert_says([[
      app:get("/a", { name = "x" }, print)
      app:group("/b", function(g) g:get("", { name = "x" }, print) end)]],
      '"x"', "app.lua:3", "app.lua:4")
  end)

  it("are unique over the mounts", function()
    assert_says([[
      local r = perilune.router {}
      r:get("/x", { name = "x" }, print)
      app:mount("/a", r)
      app:mount("/b", r)]], '"x"', "app.lua:4", "app.lua:5", "app.lua:6")
    assert_says([[
      local r = perilune.router {}
      r:get("/x", { name = "x" }, print)
      app:mount("/a", { name = "m" }, r)
      app:get("/y", { name = "m.x" }, print)]], '"m.x"', "app.lua:4", "app.lua:6")
  end)
end)

describe("pools", function()
  it("of two apps may not have one name", function()
    assert_says([[
      local one = perilune.app { pools = { video = { threads = 1 } } }
      local two = perilune.app { pools = { video = { threads = 1 } } }
      app:mount("/one", one)
      app:mount("/two", two)]], '"video"', "app.lua:3", "app.lua:4")
  end)
end)

describe("a mount", function()
  it("is not of itself", function()
    assert_says([[app:mount("/a", app)]], "app.lua:3", "inside itself")
    assert_says([[
      local r = perilune.router {}
      app:mount("/a", r)
      r:group("/g", function(g) g:mount("/b", r) end)]], "app.lua:5", "inside itself")
  end)
end)

describe("at the line of", function()
  local wrong = {
    ['app:get("a", print)'] = { 'the path "a" does not begin with "/"' },
    ['app:get("/a/{x:what}", print)'] = { "{x:what}" },
    ['app:get("/a", {}, 7)'] = { "the handler of /a is a number, not a function" },
    ['app:get("/a", print, {})'] = { "options come before the handler" },
    ['app:route({}, "/a", print)'] = { "at least one method" },
    ['app:route({ "GET", "get" }, "/a", print)'] = { "GET is listed twice" },
    ['app:group("a", print)'] = { 'the prefix "a"' },
    ['app:group("/a/", print)'] = { 'the prefix "/a/"' },
    ["app:group(7, print)"] = { "a prefix is a string, not a number" },
    ['app:group("/a")'] = { "group takes a function" },
    ['app:group("/a", { nam = 1 }, print)'] = { '"nam"' },
    ['app:group("/a", { name = "x" }, print)'] = { '"name"' },
    ['app:group("/a", { tags = {} }, print)'] = { '"tags" is reserved' },
    ['app:mount("/a", {})'] = { "a router or an app, not a table" },
    ['app:mount("/a")'] = { "a router or an app, not a nil" },
    ['app:mount("/a", { prefix = "/b" }, perilune.router {})'] = { '"prefix"' },
    ['perilune.router { prefx = "/a" }'] = { '"prefx"', '"prefix"' },
    ['perilune.router { prefix = "a" }'] = { 'the prefix "a"' },
    ["perilune.router(7)"] = { "a table of options, not number" },
    ["perilune.router { middleware = print }"] = { "a list of functions" },
    ["app:use()"] = { "middleware is nil, not a function" },
    ["app:use(print, print)"] = { "use takes one function" },
    ["app.use(print)"] = { "use a colon (app:use)" },
    ['app:group("/a", function(g) g.get("/", print) end)'] = { "use a colon (group:get)" },
    ['perilune.router {}.get("/", print)'] = { "use a colon (router:get)" },
    ["app:on_error()"] = { "handler is nil, not a function" },
    ["app:on_error(7, print)"] = { "a kind of error is a string, not a number" },
    ['app:on_error("full", 7)'] = { "handler is a number, not a function" },
    ["app:on_status(404)"] = { "handler is nil, not a function" },
    ["app:on_status(200, print)"] = { "a status from 400 to 599, not 200" },
    ["app:on_status(500, print)"] = { "use app:on_error" },
    ['app:on_status("404", print)'] = { "a status from 400 to 599" },
    ['app:url("x")'] = { "once the app has loaded" },
  }
  for line, parts in pairs(wrong) do
    it(line, function() assert_says(line, "app.lua:3: ", table.unpack(parts)) end)
  end

  it("the second error handler of a kind", function()
    assert_says('app:on_error("x", print)\napp:on_error("x", print)', "app.lua:4: ",
      'kind "x"', "app.lua:3")
    assert_says("app:on_error(print)\napp:on_error(print)", "app.lua:4: ", "all kinds",
      "app.lua:3")
  end)

  it("the second answer for a status", function()
    assert_says("app:on_status(404, print)\napp:on_status(404, print)", "app.lua:4: ",
      "on_status(404)", "app.lua:3")
  end)
end)

describe("a router that is not mounted", function()
  it("has no routes", function()
    local result = load 'perilune.router {}:get("/a", print)'
    assert.equal(0, result.code, result.err)
    assert.is_nil(result.out:find("/a", 1, true))
  end)
end)

describe("what require gives", function()
  it("is taken as the last argument, with the path of the file that comes along", function()
    local directory = program.make_directory {
      ["app.lua"] = [[
local perilune = require "perilune"
local app = perilune.app {}
app:use(require "layer")
app:get("/a", require "layer")
app:get("/b", { name = "b" }, require "layer")
app:mount("/c", require "routes")
app:group("/d", require "fill")
return app
]],
      ["layer.lua"] = "return function(req, proceed) return proceed and proceed() end",
      ["routes.lua"] = 'local r = require "perilune".router() r:get("/x", print) return r',
      ["fill.lua"] = 'return function(group) group:get("/y", print) end',
    }
    local result = program.run({ "routes", directory }, { "PERILUNE_STALL_WARN=off" })
    program.remove_directory(directory)
    assert.equal(0, result.code, result.err)
    for _, path in ipairs { "/a", "/b", "/c/x", "/d/y" } do
      assert.is_truthy(result.out:find("GET%s+" .. path .. "%s"), path)
    end
  end)
end)
