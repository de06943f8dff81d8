-- async_spec.lua - perilune.async, coroutines and waits, in every place that Lua code runs in.
--
-- The cases are functions in spec/apps/async: run here in the spec's own fiber, then in a plain
-- handler, in a thread of the pool and on a background loop of that app. What depends on the place
-- stands at the end.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local places = require "support.places"
local site = require "support.site"

local modules = {}
for _, name in ipairs { "waits", "coroutines", "sync", "children", "maps", "groups", "scopes",
  "places" } do
  modules[name] = require("apps.async." .. name)
end

local client

setup(function() client = site.open "async" end)
teardown(function() client:close() end)

for module, cases in pairs(modules) do
  places.describe(module, cases, function() return client end)
end

describe("a case that computes", function()
  it("is ended in the pool while other requests are answered", function()
    local path = places.path("blocking", "waits", "timeout ends a close handler that goes on")
    local task = async.spawn(client.get, client, path)
    local answered = 0
    while task.status ~= "done" and answered < 20 do
      assert.equal(404, client:get("/none").status)
      answered = answered + 1
    end
    assert.equal("went well", task:wait().body)
    assert.equal(20, answered)
  end)
end)
