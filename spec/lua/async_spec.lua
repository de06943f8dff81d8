-- async_spec.lua - perilune.async, coroutines and waits, in every place that Lua code runs in.
--
-- The cases are functions in spec/apps/async: run here in the spec's own fiber, then in a plain
-- handler, in a thread of the pool and on a background loop of that app. What depends on the place
-- stands at the end.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local site = require "support.site"

local modules = {}
for _, name in ipairs { "waits", "coroutines", "sync", "children", "maps", "groups", "scopes",
  "places" } do
  modules[name] = require("apps.async." .. name)
end

local client

setup(function() client = site.open "async" end)
teardown(function() client:close() end)

local function escape(text)
  return (text:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

for module, cases in pairs(modules) do
  local names = {}
  for name in pairs(cases) do names[#names + 1] = name end
  table.sort(names)

  describe(module .. " in a spec", function()
    for _, name in ipairs(names) do it(name, cases[name]) end
  end)

  for _, place in ipairs { "plain", "blocking", "background" } do
    describe(("%s in a %s handler"):format(module, place), function()
      for _, name in ipairs(names) do
        it(name, function()
          local res = client:get(("/%s/%s/%s"):format(place, module, escape(name)))
          assert.equal("went well", res.body)
        end)
      end
    end)
  end
end

describe("a case that computes", function()
  it("is ended in the pool while other requests are answered", function()
    local path = "/blocking/waits/" .. escape "timeout ends a close handler that goes on"
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
