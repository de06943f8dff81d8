-- topic_spec.lua - perilune.topic in every place that Lua code runs in, and between them.
--
-- The cases are functions in spec/apps/topic/cases.lua: run here in the spec's own fiber, then in a
-- plain handler, in a pool thread and on a background loop. Server processes with two workers are
-- in spec/topic_spec.lua.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local shared = require "perilune.shared"
local topic = require "perilune.topic"
local places = require "support.places"
local site = require "support.site"
local wait = require "support.wait"

local cases = require "apps.topic.cases"

local client

setup(function() client = site.open "topic" end)
teardown(function() client:close() end)

places.describe("cases", cases, function() return client end)

--- Each publisher's numbers came in order, and none was lost.
local function expect_in_order(list, publishers, count)
  local last = {}
  for _, value in ipairs(list) do
    assert.equal((last[value.who] or 0) + 1, value.number)
    last[value.who] = value.number
  end
  for _, who in ipairs(publishers) do assert.equal(count, last[who]) end
end

describe("what is published", function()
  it("comes from every place to every place, in order", function()
    local collecting = {}
    for _, path in ipairs { "collect", "collect_blocking", "collect_background" } do
      collecting[#collecting + 1] = async.spawn(site.json, client, ("/%s/all?n=2000"):format(path))
    end
    wait.wait_until(function() return site.json(client, "/count/all").count == 3 end)
    local publishers, calls = { "publish", "publish_blocking", "publish_background",
      "publish_task" }, {}
    for i, path in ipairs(publishers) do
      calls[i] = { client.get, client, ("/%s/all?n=500&who=%s"):format(path, path) }
    end
    async.gather(calls)
    for _, task in ipairs(collecting) do
      expect_in_order(task:wait(), publishers, 500)
    end
  end)

  it("is bounded while a loop is held", function()
    local task = async.spawn(site.json, client, "/held")
    assert.equal(204, client:get("/hold").status)
    local got = task:wait()
    for i = 1, 10 do
      assert.equal(990 + i, got.dropped[i])
      assert.equal(i, got.closed[i])
    end
    assert.equal("overflow", got.kind)
    assert.equal(990, got.count)
  end)

  it("is what a topic that was sent publishes, too", function()
    assert.same({ "upvalue", "argument", "function" }, site.json(client, "/sent"))
  end)
end)

describe("a test client", function()
  it("has topics of its own", function()
    local subscription <close> = topic "mine":subscribe()
    client:close()
    local outside <close> = topic "mine":subscribe()
    client = site.open "topic"
    topic "mine":publish "inside"
    assert.has_error(function() outside:receive(0) end, nil)
    assert.has_error(function() subscription:receive(0) end, nil)
    assert.is_nil(shared "counts":get "all")
  end)
end)
