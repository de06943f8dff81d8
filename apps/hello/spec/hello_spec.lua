-- hello_spec.lua - every route of apps/hello, over real HTTP.
--
-- The app runs in this process; what its tasks log is not looked at here, that they run is.

local async = require "perilune.async"
local test = require "perilune.test"

describe("hello", function()
  local client

  setup(function() client = test.client() end)
  teardown(function() client:close() end)

  it("answers JSON", function()
    local res = client:get("/")
    assert.equal(200, res.status)
    assert.equal("application/json", res.headers["content-type"])
    assert.same({ message = "Hello, World!" }, res:json())
  end)

  it("answers text", function()
    local res = client:get("/plain")
    assert.equal("text/plain; charset=utf-8", res.headers["content-type"])
    assert.equal("Hello, World!", res.body)
  end)

  it("converts a path parameter", function()
    assert.same({ id = 42, verbose = "" }, client:get("/users/42?verbose"):json())
    assert.equal(404, client:get("/users/abc").status)
  end)

  it("sleeps without keeping others waiting", function()
    local slept, plain = async.gather(
      function() return client:get("/sleep") end,
      function() return client:get("/plain") end)
    assert.same({ slept = 0.1 }, slept:json())
    assert.equal(200, plain.status)
  end)

  it("computes on the pool", function()
    assert.same({ limit = 1000, primes = 168 }, client:get("/burn?limit=1000"):json())
    assert.equal(400, client:get("/burn?limit=none").status)
  end)

  it("creates a user and schedules its tasks", function()
    local user = { name = "Ann", email = "ann@example.org" }
    local res = client:post("/users", { json = user })
    assert.equal(201, res.status)
    assert.same(user, res:json())
  end)

  it("refuses what is no user", function()
    assert.equal(422, client:post("/users", { json = { name = "Ann" } }).status)
    assert.equal(400, client:post("/users", { body = "{" }).status)
  end)
end)
