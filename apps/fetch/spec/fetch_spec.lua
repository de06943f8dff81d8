-- fetch_spec.lua - every route of apps/fetch, over real HTTP, with apps/services beside it.
--
-- That requests run at once is shown by the services' virtual slowness adding up or not: downwards
-- only, no case asserts that something was fast.

local test = require "perilune.test"

local here = debug.getinfo(1, "S").source:match "^@(.*)/fetch/spec/"
local beside = dofile(here .. "/services/beside.lua")

describe("fetch", function()
  local services, client

  setup(function()
    services = beside.start(here .. "/services")
    client = test.client { settings = { services = services.url } }
  end)

  teardown(function()
    client:close()
    services:close()
  end)

  for _, way in ipairs { "sequential", "together", "limited", "workers", "blocking" } do
    it(("gets all of them: %s"):format(way), function()
      local answer = client:get(("/%s?count=12&seconds=0.001"):format(way)):json()
      assert.equal(12, answer.count)
      assert.equal("item 12", answer.last)
      assert.is_true(answer.seconds > 0)
    end)

    it(("says what failed: %s"):format(way), function()
      local res = client:get(("/%s?count=3&seconds=99"):format(way))
      assert.equal(502, res.status)
      assert.is_truthy(res:json().detail:find("400 Bad Request from .*/items/%d"), res.body)
      assert.equal(400, client:get(("/%s?count=0"):format(way)).status)
    end)
  end

  it("takes the sum of the times one after the other", function()
    assert.is_true(client:get("/sequential?count=4&seconds=0.02"):json().seconds >= 0.08)
  end)

  it("calls a web hook behind the response", function()
    assert.equal(202, client:post("/notify", { json = { event = "signed up" } }).status)
    client:finish_tasks()
    assert.same({ event = "signed up" }, services:wait_for("event", 1))
    assert.equal(422, client:post("/notify", { json = "event" }).status)
  end)

  it("tries a web hook again", function()
    local calls = 0
    test.replace(client, "notify", function()
      calls = calls + 1
      if calls == 1 then error("not now", 0) end
    end)
    assert.equal(202, client:post("/notify", { json = { event = "again" } }).status)
    client:finish_tasks()
    assert.equal(2, calls)
  end)
end)
