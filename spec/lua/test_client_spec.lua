-- test_client_spec.lua - test clients: cookies, redirects, settings, environment, directories.
--
-- Runs apps/testing, and apps that are made here. Rules of cookies are RFC 6265's.

local async = require "perilune.async"
local lfs = require "lfs"
local perilune = require "perilune"
local test = require "perilune.test"

local APP = "apps/testing"

local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(err)
end

describe("cookies of a test client", function()
  local client

  before_each(function() client = test.client(APP, { clock = "virtual" }) end)
  after_each(function() client:close() end)

  local function set(...) client:get("/set", { query = { c = { ... } } }) end
  local function sent(path) return client:get(path or "/echo"):json().cookie end

  it("are sent again", function()
    assert.is_nil(sent())
    set("a=1", "b=two words; Path=/; HttpOnly; SameSite=Lax")
    assert.equal("a=1; b=two words", sent())
    assert.equal("1", client.cookies.a)
    assert.is_nil(client.cookies.c)
  end)

  it("are replaced, and deleted by a time that has passed", function()
    set("a=1", "b=1", "c=1")
    set("a=2", "b=; Max-Age=0", "c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    assert.equal("a=2", sent())
  end)

  it("end with their time, on the client's clock", function()
    set("a=1; Max-Age=60", "b=1; Max-Age=3600; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
      "c=1; Expires=" .. os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 7200))
    assert.equal("a=1; b=1; c=1", sent())
    client.clock:advance(60)
    assert.equal("b=1; c=1", sent())
    assert.is_nil(client.cookies.a)
    client.clock:advance(3540)
    assert.equal("c=1", sent())
    client.clock:advance(7200)
    assert.is_nil(sent())
  end)

  it("are for their path, longer ones first", function()
    set("a=1; Path=/", "b=2; Path=/deep", "c=3; Path=/dee", "d=4; Path=/deep/echo/more")
    assert.equal("b=2; a=1", sent "/deep/echo")
    assert.equal("a=1", sent())
  end)

  it("have the directory of the request as path where they name none", function()
    client:get("/deep/set", { query = { c = { "a=1", "b=2; Path=relative" } } })
    assert.equal("a=1; b=2", sent "/deep/echo")
    assert.is_nil(sent())
  end)

  it("are for their host alone", function()
    set("a=1", "b=2; Domain=example.com", "c=3; Domain=127.0.0.1")
    assert.equal("a=1; c=3", sent())
    assert.is_nil(client:get("/echo", { headers = { Host = "example.com" } }):json().cookie)
  end)

  it("are for the hosts below their domain", function()
    client:get("/set", { query = { c = { "a=1; Domain=.Example.com", "b=2", "c=3; Domain=com.org",
      "d=4; Secure" } }, headers = { Host = "www.example.com" } })
    local function sent_to(host)
      return client:get("/echo", { headers = { Host = host } }):json().cookie
    end
    assert.equal("a=1; b=2", sent_to "www.example.com:80")
    assert.equal("a=1", sent_to "example.com")
    assert.is_nil(sent_to "badexample.com")
    assert.is_nil(sent())
  end)

  it("may be secure, since loopback counts as that", function()
    set("a=1; Secure")
    assert.equal("a=1", sent())
  end)

  it("are read, set, deleted and iterated as a table", function()
    set("a=1")
    client.cookies.b = "2"
    assert.equal("a=1; b=2", sent())
    local all = {}
    for name, value in pairs(client.cookies) do all[name] = value end
    assert.same({ a = "1", b = "2" }, all)
    client.cookies.a = nil
    assert.equal("b=2", sent())
  end)

  it("give way to a field that the spec writes", function()
    set("a=1")
    assert.equal("z=9", client:get("/echo", { headers = { Cookie = "z=9" } }):json().cookie)
  end)

  it("that are none are left alone", function()
    set("", "=x", ";", "nothing")
    assert.is_nil(sent())
  end)
end)

describe("redirects of a test client", function()
  local client

  setup(function() client = test.client(APP) end)
  teardown(function() client:close() end)

  local function redirect(method, status, to, options)
    options = options or {}
    options.query, options.follow_redirects = { to = to }, true
    return client[method](client, "/redirect/" .. status, options)
  end

  it("are not followed unless that is asked for", function()
    assert.equal(302, client:get("/redirect/302", { query = { to = "/echo" } }).status)
  end)

  it("keep cookies that are set on the way", function()
    assert.equal("hop=302", redirect("get", 302, "/echo"):json().cookie)
  end)

  it("become GET where they must", function()
    local cases = { { "post", 301, "GET" }, { "post", 302, "GET" }, { "post", 303, "GET" },
      { "put", 303, "GET" }, { "put", 302, "PUT" }, { "post", 307, "POST" }, { "put", 308, "PUT" } }
    for _, case in ipairs(cases) do
      local method, status, expected = table.unpack(case)
      local answer = redirect(method, status, "/echo", { json = { 1 } }):json()
      assert.equal(expected, answer.method)
      assert.equal(expected == "GET" and "" or "[1]", answer.body)
      assert.equal(expected ~= "GET" and "application/json" or nil, answer.type)
    end
  end)

  it("resolve what Location says", function()
    for to, path in pairs { ["/echo?q=1"] = "/echo", ["../deep/./echo?q=1"] = "/deep/echo",
      ["../echo?q=1#part"] = "/echo", [client.url .. "/echo?q=1"] = "/echo",
      ["//" .. client.url:match "//(.*)" .. "/deep/echo?q=1"] = "/deep/echo" } do
      local answer = redirect("get", 302, to):json()
      assert.equal(path, answer.path)
      assert.equal("1", answer.query)
    end
  end)

  it("end after ten of them", function()
    local ok, err = pcall(client.get, client, "/loop", { follow_redirects = true })
    assert.is_false(ok)
    assert.equal("http", err.kind)
    assert.matches("GET http://127.0.0.1:%d+/loop: more than 10 redirects", err.message)
  end)
end)

describe("a test client", function()
  it("has settings of its own, in the app's threads too", function()
    local client = test.client(APP, { settings = { color = "red", size = 3 } })
    local answer = client:get("/around/NOTHING"):json()
    assert.same({ color = "red", size = 3 }, answer.here.settings)
    assert.same({ color = "red", size = 3 }, answer.pool.settings)
    client:close()
    client = test.client(APP)
    assert.same({}, client:get("/around/NOTHING"):json().here.settings)
    client:close()
  end)

  it("has an environment of its own", function()
    local client = test.client(APP, { env = { PERILUNE_SPEC_NAME = "value", HOME = false } })
    local answer = client:get("/around/PERILUNE_SPEC_NAME"):json()
    assert.equal("value", answer.here.env)
    assert.equal("value", answer.pool.env)
    assert.is_nil(client:get("/around/HOME"):json().pool.env)
    client:close()
    assert.is_nil(os.getenv "PERILUNE_SPEC_NAME")
    assert.is_string(os.getenv "HOME")
  end)

  it("may work on a copy of the app's directory, removed at its end", function()
    local client = test.client(APP, { dir = true })
    local dir = client:get("/around/x"):json().here.dir
    assert.equal(client.dir, dir)
    assert.equal("file", lfs.attributes(dir .. "/app.lua", "mode"))
    assert.not_matches("apps/testing", dir, 1, true)
    io.open(dir .. "/made.txt", "w"):close()
    client:close()
    assert.is_nil(lfs.attributes(dir, "mode"))
  end)

  it("serves an app object", function()
    local app = perilune.app { name = "inline" }
    local count = 0
    app:get("/count", function()
      count = count + 1
      return { count = count }
    end)
    for i = 1, 2 do
      local client = test.client(app)
      assert.equal(i, client:get("/count"):json().count)
      client:close()
    end
    assert.equal(2, count)
  end)

  it("refuses options that it does not know or that are none", function()
    for text, options in pairs {
      ['unknown option "setting" (did you mean "settings"?)'] = { setting = {} },
      ['option "settings" is a table, not a string'] = { settings = "x" },
      ['option "dir" is a boolean, not a string'] = { dir = "x" },
      ['option "env": A is a string, or false where it is to be missing, not a number'] =
        { env = { A = 1 } },
      ['option "env": A=B is no name of a variable'] = { env = { ["A=B"] = "1" } },
      ["settings.f (userdata) cannot be sent"] = { settings = { f = io.stdout } },
    } do
      assert.matches(text, failure(test.client, APP, options), 1, true)
    end
    assert.matches("argument 1 is an app or an app's directory, not number",
      failure(test.client, 7), 1, true)
    local client = test.client(APP) -- nothing is left of those that failed
    client:close()
  end)

  it("says what is wrong with a request, at the spec's line", function()
    local client = test.client(APP)
    assert.matches('client:get: the path begins with "/", not "echo"', failure(client.get, client,
      "echo"), 1, true)
    assert.matches("client:get: argument 1 is a path, not nil", failure(client.get, client), 1,
      true)
    assert.matches("spec/lua/test_client_spec.lua:%d+: .*bodies",
      failure(function() client:get("/echo", { bodies = 1 }) end))
    assert.matches("use a colon", failure(client.get, "/echo"), 1, true)
    client:close()
    client:close()
  end)

  it("loads the app anew each time", function()
    local client = test.client(APP)
    async.gather({ client.get, client, "/echo" }, { client.get, client, "/echo" })
    client:close()
    client = test.client(APP)
    assert.equal(200, client:get("/echo").status)
    client:close()
  end)
end)
