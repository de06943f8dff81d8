-- shared_spec.lua - perilune.shared in every place that Lua code runs in.
--
-- The cases are functions in spec/apps/shared/cases.lua: run here in the spec's own fiber, then in
-- a plain handler, in a pool thread and on a background loop. What goes between states stands
-- at the end; server processes with two workers are in spec/shared_spec.lua.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local shared = require "perilune.shared"
local places = require "support.places"
local site = require "support.site"
local wait = require "support.wait"

local cases = require "apps.shared.cases"

local client

setup(function() client = site.open "shared" end)
teardown(function() client:close() end)

places.describe("cases", cases, function() return client end)

describe("shared tables between states", function()
  it("count what loops, pool threads and handlers do at once", function()
    local calls = {}
    for i, path in ipairs { "/count", "/count_blocking", "/count_background" } do
      for j = 1, 4 do calls[4 * (i - 1) + j] = { client.get, client, path .. "?n=500" } end
    end
    async.gather(calls)
    local hits = site.json(client, "/hits")
    assert.equal(12 * 500, hits.count)
    assert.equal(12, #hits.list)
  end)

  for _, path in ipairs { "/wait/", "/wait_blocking/" } do
    it("wake who waits in another one: " .. path, function()
      local key = path:gsub("/", "")
      local task = async.spawn(site.json, client, path .. key)
      wait.wait_until(function() return shared "hits":get("waiting:" .. key) end)
      -- it waits from now on, or sees the value that comes after the old one
      local answered = false
      async.gather(function()
        assert.is_truthy(task:wait().value)
        answered = true
      end, function()
        while not answered do
          client:get("/set/" .. key .. "/x")
          async.sleep(0.001)
        end
      end)
    end)
  end

  it("keep classes, and load their modules where they are read", function()
    assert.equal("HELLO", client:get("/word").body)
    assert.equal("HELLO", client:get("/late").body)
    assert.equal("HELLO!", client:get("/late_here").body)
  end)

  it("cross by name", function()
    assert.same({ upvalue = 2, argument = 2 }, site.json(client, "/sent"))
  end)

  it("are there in on_start", function()
    assert.is_true(shared "hits":get "started")
  end)
end)

describe("a test client", function()
  it("has shared tables of its own", function()
    client:close()
    local outside = shared "hits"
    assert.is_nil(outside:get "started")
    outside:set("mine", 1)
    client = site.open "shared"
    local inside = shared "hits"
    assert.is_true(inside:get "started")
    assert.is_nil(inside:get "mine")
    assert.is_nil(inside:get "count")
    assert.equal(1, outside:get "mine")
    client:close()
    assert.equal(1, shared "hits":get "mine")
    assert.is_true(inside:get "started")
    client = site.open "shared"
  end)
end)
