-- crunch_spec.lua - every route of apps/crunch, over real HTTP.
--
-- Results, order and errors; how much faster several cores are is measured, not asserted.

local async = require "perilune.async"
local test = require "perilune.test"

local function expected(rounds)
  local hash = 0
  for i = 1, rounds do hash = (hash * 31 + i) % 4294967291 end
  return hash
end

describe("crunch", function()
  local client

  setup(function() client = test.client() end)
  teardown(function() client:close() end)

  it("has the same result on the loop and on the pool", function()
    local hash = expected(1000)
    assert.same({ hash = hash }, client:get("/loop?rounds=1000"):json())
    assert.same({ hash = hash }, client:get("/pool?rounds=1000"):json())
  end)

  it("serves others while it computes on the pool", function()
    local answers = {}
    async.gather(function()
      assert.equal(503, client:get("/in_time?rounds=1000000000").status)
      answers[#answers + 1] = "crunched"
    end, function()
      assert.equal(200, client:get("/loop?rounds=1").status)
      answers[#answers + 1] = "the other"
    end)
    assert.same({ "the other", "crunched" }, answers)
  end)

  it("computes several at once, results in order", function()
    for _, path in ipairs { "/parallel", "/sequence" } do
      local answer = client:get(path .. "?calls=3&rounds=100"):json()
      local hash = expected(100)
      assert.same({ hash, hash, hash }, answer.hashes)
      assert.is_true(answer.seconds > 0)
    end
  end)

  it("ends what takes too long, and computes on afterwards", function()
    for _, where in ipairs { "pool", "loop" } do
      local res = client:get("/in_time?rounds=1000000000&where=" .. where)
      assert.equal(503, res.status)
      assert.same({ detail = "no result in time: timeout" }, res:json())
      assert.same({ hash = expected(10) }, client:get("/in_time?rounds=10&where=" .. where):json())
    end
  end)

  it("sums a list on the pool", function()
    assert.equal(1, client:get("/sum?numbers=1"):json().sum)
    assert.equal(5000050000, client:get("/sum?numbers=100000"):json().sum)
  end)

  it("refuses what it cannot compute", function()
    for _, query in ipairs { "numbers=0", "numbers=some", "numbers=1000001" } do
      assert.equal(400, client:get("/sum?" .. query).status, query)
    end
    for _, query in ipairs { "rounds=0", "rounds=1.5", "rounds=all", "rounds=2000000000" } do
      for _, path in ipairs { "/loop?", "/pool?", "/parallel?", "/in_time?" } do
        assert.equal(400, client:get(path .. query).status, path .. query)
      end
    end
    assert.equal(400, client:get("/parallel?calls=101").status)
  end)
end)
