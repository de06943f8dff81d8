-- hello_spec.lua - every route of apps/hello, over real HTTP.
--
-- The app runs in this process, so that a spec can put a function of its own in a task's place.

local async = require "perilune.async"
local test = require "perilune.test"

describe("hello", function()
  local client

  before_each(function() client = test.client() end)
  after_each(function() client:close() end)

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
    assert.equal(404, client:get("/none").status)
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
    assert.task_order(client, { "resize_avatar", "log_analytics", "send_welcome_email" })
    client:finish_tasks()
  end)

  it("sends the mail once the response is out", function()
    local sent
    test.replace(client, "send_welcome_email", function(email) sent = email end)
    client:post("/users", { json = { name = "Ann", email = "a@b.c" } })
    assert.task_scheduled(client, "send_welcome_email", { "a@b.c" }, { when = "after_response" })
    client:finish_tasks() -- until every task has ended; a failed one fails the spec
    assert.equal("a@b.c", sent)
  end)

  it("refuses what is no user", function()
    assert.equal(422, client:post("/users", { json = { name = "Ann" } }).status)
    assert.equal(400, client:post("/users", { body = "{" }).status)
    assert.same({}, client.scheduled)
  end)
end)
