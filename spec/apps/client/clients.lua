-- clients.lua - http.client: a base URL and defaults.
--
-- Cases for cases.lua.

local assert = require "luassert"
local expect = require "expect"
local http = require "perilune.http"

local cases = {}

cases["a client joins paths to its base"] = function(base)
  local function target(base_url, path)
    local got = http.client { base_url = base_url }:get(path)
    return got:json().target
  end
  for _, base_url in ipairs { base, base .. "/" } do
    for _, path in ipairs { "echo", "/echo", "//echo" } do
      assert.equal("/echo", target(base_url, path))
    end
    assert.equal("/echo?a=b", target(base_url, "echo?a=b"))
  end
  assert.equal("/echo", target(base .. "/echo", ""))
  assert.equal("/echo?a=b", target(base .. "/echo", "?a=b"))
  assert.equal("/echo", target("http://127.0.0.1:1/elsewhere", base .. "/echo"))
  assert.equal("/echo", http.client {}:get(base .. "/echo"):json().target)
end

cases["a client has defaults, one request goes before them"] = function(base)
  local headers = { ["X-A"] = "1", ["X-B"] = "2" }
  local api = http.client { base_url = base, headers = headers, query = { key = "k", page = 1 } }
  headers["X-A"] = "changed"
  local got = api:get("/echo", { headers = { ["x-b"] = "3", ["X-C"] = "4" }, query = { page = 2 } })
  got = got:json()
  assert.equal("/echo?key=k&page=2", got.target)
  assert.same({ { "1" }, { "3" }, { "4" } },
    { got.headers["x-a"], got.headers["x-b"], got.headers["x-c"] })
  got = api:get("/echo"):json()
  assert.same({ { "1" }, { "2" } }, { got.headers["x-a"], got.headers["x-b"] })
  local hasty = http.client { base_url = base, timeout = expect.SHORT }
  expect.fails_with("timeout", "within 0.05 s", hasty.get, hasty, "/hang/x")
end

cases["a client has all methods"] = function(base)
  local api = http.client { base_url = base }
  for _, method in ipairs { "get", "post", "put", "patch", "delete", "options" } do
    assert.equal(method:upper(), api[method](api, "/echo"):json().method)
  end
  assert.equal("", api:head("/big/5").body)
  local got = api:request { method = "PUT", url = "/echo", body = "x", headers = { a = "b" } }
  got = got:json()
  assert.same({ "PUT", "x", { "b" } }, { got.method, got.body, got.headers.a })
  assert.equal("GET", api:request { url = "/echo" }:json().method)
  assert.equal("piece 1\n", (api:get("/trickle/x", { stream = true,
    query = { pieces = 1, ends = 1 } }):chunks())())
end

cases["a client is checked when it is made, and where it is called"] = function(base)
  expect.misuse('unknown option "base_uri" (did you mean "base_url"?)', http.client,
    { base_uri = base })
  expect.misuse('unknown option "body"', http.client, { body = "x" })
  expect.misuse('"base_url" is an http or https URL without query', http.client,
    { base_url = base .. "?a" })
  expect.misuse('"base_url" is an http', http.client, { base_url = "ftp://x" })
  expect.misuse("no header name", http.client, { headers = { ["a b"] = "c" } })
  expect.misuse("is a number of seconds above 0", http.client, { timeout = -1 })
  local api = http.client { base_url = base }
  expect.misuse("use a colon", api.get, "/echo")
  expect.misuse("argument 1 is a path or URL, not nil", api.get, api)
  for _, call in ipairs {
    function() api:get("/echo", { headers = { ["a b"] = "c" } }) end,
    function() api:get("/echo", { timeot = 1 }) end,
    function() api:get("/echo", { headers = 5 }) end,
    function() api:request { method = 5 } end,
  } do
    assert.is_truthy(expect.misuse("clients.lua:", call):find "^[^\n]-clients%.lua:%d+: ")
  end
end

return cases
