-- dashboard_spec.lua - every route of apps/dashboard, over real HTTP.
--
-- Times are looked at downwards only: what takes the sum of the services' times, and what is
-- cancelled; that things run at once is shown by their order.

local async = require "perilune.async"
local test = require "perilune.test"

local EVERYTHING = {
  orders = { open = 3 }, profile = { name = "Ann" }, offers = { "coffee", "tea" },
}

describe("dashboard", function()
  local client

  setup(function() client = test.client() end)
  teardown(function() client:close() end)

  local function get(path, status)
    local res = client:get(path)
    assert.equal(status or 200, res.status, res.body)
    return res:json()
  end

  it("asks one after the other", function()
    local before = async.now()
    assert.same(EVERYTHING, get "/sequential")
    assert.is_true(async.now() - before >= 0.19)
  end)

  it("asks all together", function()
    assert.same(EVERYTHING, get "/together")
  end)

  it("fails as the first of them does", function()
    local answer = get("/together?fail=offers", 502)
    local problem = "503 Service Unavailable from .*/upstream/offers"
    assert.is_truthy(answer.detail:find(problem), answer.detail)
    assert.equal(502, client:get("/sequential?fail=orders").status)
  end)

  it("gives what there is", function()
    assert.same({ orders = { open = 3 }, offers = { "coffee", "tea" } }, get "/whatever")
    local page = get "/whatever?fail=offers"
    assert.same({ orders = { open = 3 }, offers = { problem = "http" } }, page)
  end)

  it("takes the first that succeeds", function()
    assert.same({ index = 2, answer = { "coffee", "tea" } }, get "/fastest")
    assert.same({ index = 1, answer = { open = 3 } }, get "/fastest?fail=offers")
  end)

  it("does not wait longer than it has time", function()
    assert.same({ problem = "timeout" }, get "/in_time?name=orders")
    assert.same({ problem = "http" }, get "/in_time?name=nothing")
  end)

  it("asks for many, in order", function()
    local answers = get "/many?count=4"
    assert.same({ { name = "Ann" }, { "coffee", "tea" }, { open = 3 }, { name = "Ann" } }, answers)
    assert.equal("[]", client:get("/many?count=0").body)
  end)

  it("streams what comes as it comes", function()
    local lines = {}
    for line in client:get("/as_they_come").body:gmatch "%S+" do lines[#lines + 1] = line end
    assert.equal(3, #lines)
    table.sort(lines)
    assert.same({ "offers", "orders", "profile" }, lines)
  end)

  it("says which service there is not", function()
    assert.same({ detail = "there is no such service" }, get("/upstream/none", 404))
  end)

  it("waits for all kinds together", function()
    assert.same({ coroutine = "half past four", thread = 6, request = { name = "Ann" },
      query = { two = 2 }, task = "call Bob" }, get "/kinds")
    assert.equal(502, client:get("/kinds?fail=profile").status)
  end)

  it("takes the first of all kinds", function()
    assert.same({ index = 1, answer = "half past four" }, get "/first")
  end)
end)

-- Where the services' sleeps are all that takes time.
describe("on a clock of its own, dashboard", function()
  local client

  setup(function() client = test.client { clock = "auto" } end)
  teardown(function() client:close() end)

  local function milliseconds(path, status)
    local before = client.clock:now()
    assert.equal(status or 200, client:get(path).status)
    return math.floor((client.clock:now() - before) * 1000 + 0.5)
  end

  it("takes the sum of the times one after the other", function()
    assert.equal(190, milliseconds "/sequential")
  end)

  it("takes the longest of them together", function()
    assert.equal(80, milliseconds "/together")
    assert.equal(80, milliseconds "/whatever?fail=offers")
  end)

  it("takes as long as the first error", function()
    assert.equal(50, milliseconds("/together?fail=offers", 502))
  end)
end)
