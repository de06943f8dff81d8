-- tasks_spec.lua - every route of apps/tasks, over real HTTP, and what its tasks leave behind.
--
-- The journal is the app's own, which each case waits for: no case looks at what others wrote.

local async = require "perilune.async"
local test = require "perilune.test"

local LIMIT_S = 10

describe("tasks", function()
  local client

  setup(function() client = test.client() end)
  teardown(function() client:close() end)

  --- Waits until the journal has a line.
  local function written(line)
    async.timeout(LIMIT_S, function()
      while true do
        for _, text in ipairs(client:get("/journal"):json().journal) do
          if text == line then return end
        end
        async.sleep(0.001)
      end
    end)
  end

  local function has_written(line)
    local _, err = pcall(async.timeout, 0.02, written, line)
    return err == nil
  end

  local function order(json)
    local res = client:post("/orders", { json = json })
    assert.equal(202, res.status, res.body)
    return client:get("/tasks/" .. res:json().task):json()
  end

  it("has three timings", function()
    local res = client:post("/users", { json = { name = "Ann", email = "ann@example.org" } })
    assert.equal(201, res.status)
    assert.equal("integer", math.type(res:json().avatar))
    written "counted Ann"
    written "welcomed ann@example.org"
  end)

  it("refuses what is no user, and schedules nothing", function()
    assert.equal(422, client:post("/users", { json = { name = "Bob" } }).status)
    assert.equal(400, client:post("/users", { body = "{" }).status)
    assert.equal(422, client:post("/users", { json = 7 }).status)
    assert.is_false(has_written "counted Bob")
  end)

  it("retries what is busy", function()
    assert.equal("reserve", order({ item = "tea", failures = 2 }).name)
    written "reserved tea at attempt 3"
  end)

  it("gives up after the last attempt, and says so", function()
    order { item = "coffee", failures = 3 }
    written "gave up coffee at attempt 3"
    assert.is_false(has_written "apologized for coffee")
  end)

  it("tells what else fails an order", function()
    order { item = 7, failures = "many" }
    async.timeout(LIMIT_S, function()
      while not client:get("/journal").body:find "not reserved: .-attempt to compare" do
        async.sleep(0.001)
      end
    end)
  end)

  it("has a task for the failure of the handler", function()
    assert.equal(409, client:post("/orders", { json = { item = "moon" } }).status)
    written "apologized for moon"
    assert.is_false(has_written "reserved moon at attempt 1")
  end)

  it("knows no other task", function()
    assert.equal(404, client:get("/tasks/none").status)
  end)

  it("settles a payment, or refunds it", function()
    assert.equal(202, client:post("/payments/700").status)
    assert.equal(202, client:post("/payments/1001").status)
    written "settled 700"
    written "refunded 1001: over the limit"
    assert.equal(404, client:post("/payments/much").status)
  end)
end)
