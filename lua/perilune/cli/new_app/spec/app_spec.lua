-- app_spec.lua - what NAME answers, over real HTTP.
--
-- The app is served in this process; specs are busted's.

local test = require "perilune.test"

describe("NAME", function()
  local client

  setup(function() client = test.client() end)
  teardown(function() client:close() end)

  it("greets", function()
    local res = client:get("/")
    assert.equal(200, res.status)
    assert.same({ message = "Hello, World!" }, res:json())
  end)

  it("counts primes on the thread pool", function()
    assert.same({ limit = 100, primes = 25 }, client:get("/primes/100"):json())
    assert.equal(400, client:get("/primes/0").status)
  end)

  it("takes a user and schedules the welcome", function()
    local res = client:post("/users", { json = { name = "Ann" } })
    assert.equal(201, res.status)
    assert.same({ name = "Ann" }, res:json())
    assert.task_scheduled(client, "send_welcome", { "Ann" }, { when = "after_response" })
    client:finish_tasks()
    assert.equal(422, client:post("/users", { json = {} }).status)
  end)
end)
