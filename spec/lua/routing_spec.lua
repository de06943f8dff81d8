-- routing_spec.lua - groups, routers, mounts and URLs of routes, asked for over HTTP.
--
-- spec/apps/routing is served in the spec's own state. What must not load is in app_load_spec.lua;
-- matching itself is in the C specs of the router.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"
local site = require "support.site"

local client

setup(function() client = site.open "routing" end)
teardown(function() client:close() end)

local function assert_route(name, path, method)
  local res = client[method or "get"](client, path, { body = method == "post" and "x" or nil })
  assert.equal(200, res.status, path)
  assert.equal(name, res:json().route, path)
  return res:json()
end

local function assert_fails(parts, fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  for _, part in ipairs(parts) do
    assert.is_truthy(tostring(message):find(part, 1, true), message)
  end
  assert.is_truthy(tostring(message):find("routing_spec.lua", 1, true), message)
end

describe("a group", function()
  it("puts its prefix before its routes", function()
    assert_route("deep", "/admin/deep")
    assert_route("any", "/admin/deep/any", "delete")
    assert.equal("/admin/deep/any", assert_route("any", "/admin/deep/any").pattern)
  end)

  it("is its prefix at / and at nothing", function()
    assert_route("admin", "/admin")
    assert_route("admin post", "/admin", "post")
    assert.equal(308, client:get("/admin/").status)
  end)

  it("keeps the order of static, parameter and path", function()
    assert_route("admin static", "/admin/static")
    assert_route("admin parameter", "/admin/other")
    assert_route("admin rest", "/admin/other/more")
  end)

  it("may have parameters", function()
    assert.same({ tenant = 7 }, assert_route("tenant", "/7").params)
    assert.equal(404, client:get("/seven").status)
  end)

  it("gives its options to its routes", function()
    assert.equal(413, client:post("/7/small", { body = ("x"):rep(11) }).status)
    assert.equal(200, client:post("/7/small", { body = ("x"):rep(10) }).status)
    assert.equal(200, client:post("/7/large", { body = ("x"):rep(1024) }).status)
    assert.equal(413, client:post("/7/large", { body = ("x"):rep(1025) }).status)
  end)
end)

describe("a path", function()
  it("with and without its slash is one where only one exists", function()
    assert.equal("/exact", client:get("/exact/").headers.location)
    assert.equal("/slash/?a=b", client:get("/slash?a=b").headers.location)
    assert.equal("/v1/users", client:get("/v1/users/").headers.location)
  end)

  it("knows its methods", function()
    local res = client:delete("/admin")
    assert.equal(405, res.status)
    assert.equal("GET, HEAD, POST, OPTIONS", res.headers.allow)
    assert.equal("PUT, PATCH, OPTIONS", client:get("/several").headers.allow)
    assert.equal(200, client:head("/admin").status)
  end)
end)

describe("a mount", function()
  it("of one router at several places has all its routes at each", function()
    for _, prefix in ipairs { "/v1", "/v2", "/admin/users" } do
      assert_route("users", prefix .. "/users")
      assert_route("user", prefix .. "/users/7")
    end
  end)

  it("has routes that were written after it", function()
    assert_route("late", "/v1/users/late")
    assert_route("late", "/admin/users/users/late")
  end)

  it("of an app has its routes and its pools", function()
    assert.equal("shop", client:get("/shop").body)
    assert.equal("paid", client:post("/shop/pay").body)
    assert.same({ item = "Tee", url = "/shop/items/Tee" }, client:get("/shop/items/Tee"):json())
    assert.equal(1, client.app.pools.till.threads)
    assert.equal(1, client.app.pools.video.threads)
  end)

  it("takes no routes once the app has loaded", function()
    for _, recorder in ipairs { client.app, client.app.users, client.app.shop } do
      assert_fails({ "while the app loads" }, recorder.get, recorder, "/x", print)
      assert_fails({ "while the app loads" }, recorder.use, recorder, print)
      assert_fails({ "while the app loads" }, recorder.group, recorder, "/x", print)
      assert_fails({ "while the app loads" }, recorder.on_error, recorder, print)
      assert_fails({ "while the app loads" }, recorder.mount, recorder, "/x", client.app.users)
    end
    assert_fails({ "while the app loads" }, client.app.on_status, client.app, 404, print)
  end)
end)

describe("a URL", function()
  local expected = {
    home = "/",
    admin = "/admin",
    v1 = "/v1/users/7",
    v2 = "/v2/users/8",
    admins = "/admin/users/users/9",
    text = "/lit%20eral/%C3%A4%2F%3F%23%25/t@il",
    number = "/lit%20eral/1.5/t@il",
    query = "/?a=x%20y%26%3D%2B%2F&b=1&b=zwei&b=true&c%20d=0.1&e=",
    shop = "/shop/items/Tee",
  }
  for name, url in pairs(expected) do
    it("is built of its route: " .. name, function()
      assert.equal(url, client:get("/url/" .. name).body)
      assert.equal(url, client:get("/blocking/url/" .. name).body)
    end)
  end

  it("is known by the name that its own app gave it", function()
    assert.equal("/shop/items/Tee", client:get("/shop-url").body)
  end)

  it("leads back to its route with the same parameters", function()
    local uuid = "0123abcd-4567-89EF-0123-456789abcdef"
    for _, params in ipairs {
      { i = -7, f = 0.1, u = uuid, t = "a b/c%2F", p = "x/ y/%/ü" },
      { i = math.maxinteger, f = 1e300, u = uuid, t = "+?&;=#", p = "a" },
      { i = math.mininteger, f = -2.5e-7, u = uuid, t = "...", p = "a//b" },
      { i = 0, f = 3.0, u = uuid, t = "~-_.!*'()", p = "a/.b/c." },
      { i = 1, f = 12345678901234567890.0, u = uuid, t = "\1\127", p = "{x}" },
    } do
      local path = client.app:url("kinds", params)
      local got = client:get(path)
      assert.equal(200, got.status, path)
      assert.same(params, got:json().params)
    end
  end)

  it("of wrong parameters is an error that names them", function()
    local app = client.app
    local u = ("0"):rep(8) .. "-0000-0000-0000-" .. ("0"):rep(12)
    local function good(changes)
      local params = { i = 1, f = 1, u = u, t = "t", p = "p" }
      for name, value in pairs(changes) do params[name] = value end
      return params
    end
    local function kinds(changes) return app:url("kinds", good(changes)) end
    assert_fails({ '"i"', "whole number", "1.5" }, kinds, { i = 1.5 })
    assert_fails({ '"i"', "whole number" }, kinds, { i = "7x" })
    assert_fails({ '"i"', "whole number" }, kinds, { i = "99999999999999999999" })
    assert_fails({ '"i"', "whole number" }, kinds, { i = true })
    assert_fails({ '"f"', "finite number" }, kinds, { f = 1 / 0 })
    assert_fails({ '"f"', "finite number" }, kinds, { f = 0 / 0 })
    assert_fails({ '"f"', "finite number" }, kinds, { f = "0x10" })
    assert_fails({ '"u"', "a UUID" }, kinds, { u = "x" })
    assert_fails({ '"t"', "a text" }, kinds, { t = "" })
    assert_fails({ '"t"', "a text" }, kinds, { t = {} })
    assert_fails({ '"t"', '".."' }, kinds, { t = ".." })
    assert_fails({ '"p"', "a text" }, kinds, { p = "" })
    assert_fails({ '"p"', '"."' }, kinds, { p = "a/./b" })
    assert_fails({ "kinds", '"i"', "needs" }, app.url, app, "kinds", { f = 1 })
    assert_fails({ "home", '"x"', "no parameter" }, app.url, app, "home", { x = 1 })
    assert_fails({ '"hom"', '"home"' }, app.url, app, "hom")
    assert_fails({ "name of a route" }, app.url, app)
    assert_fails({ "table of parameters" }, app.url, app, "home", 7)
    assert_fails({ "table of the query" }, app.url, app, "home", nil, 7)
    assert_fails({ "name to value" }, app.url, app, "home", nil, { "x" })
    assert_fails({ '"x"', "table" }, app.url, app, "home", nil, { x = { {} } })
    assert_fails({ "use a colon" }, app.url, "home")
  end)
end)

describe("perilune routes", function()
  it("lists what is in groups and mounts", function()
    local result = program.run { "routes", site.dir "routing" }
    assert.equal(0, result.code, result.err)
    for _, line in ipairs {
      "METHOD +PATH +WHERE +SOURCE",
      "GET +/admin/deep +loop +%S+app.lua:%d+",
      "GET +/v1/users/{id:int} +loop +%S+users.lua:%d+",
      "POST +/shop/pay +blocking%(till%) +%S+shop.lua:%d+",
      "GET +/admin/users/users +loop",
    } do
      assert.is_truthy(result.out:find(line), result.out)
    end
  end)
end)
