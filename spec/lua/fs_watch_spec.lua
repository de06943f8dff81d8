-- fs_watch_spec.lua - fs.watch in every place that Lua code runs in, and what it leaves behind.
--
-- The cases are in spec/apps/async/watches.lua. Descriptors are counted here: a watch has one,
-- however many directories there are.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local fs = require "perilune.fs"
local places = require "support.places"
local site = require "support.site"
local wait = require "support.wait"

describe("fs.watch", function()
  local client

  setup(function() client = site.open "async" end)
  teardown(function() client:close() end)

  places.describe("watches", require "apps.async.watches", function() return client end)
end)

local function count_watches()
  local count = 0
  for name in fs.each "/proc/self/fd" do
    local ok, link = pcall(fs.stat, "/proc/self/fd/" .. name, { follow = false })
    if ok and link.target == "anon_inode:inotify" then count = count + 1 end
  end
  return count
end

describe("the descriptor of a watch", function()
  it("is one, and is closed with the loop, the scope or the collector", function()
    local before = count_watches()
    local file <close> = fs.tempfile()
    do
      local changes <close> = fs.watch(file.path)
      assert.equal(before + 1, count_watches())
      assert.is_truthy(changes)
    end
    assert.equal(before, count_watches())
    local task = async.spawn(function()
      for _ in fs.watch(file.path) do error "nothing has changed" end
    end)
    wait.wait_until(function() return count_watches() > before end)
    task:cancel()
    pcall(task.wait, task)
    pcall(fs.watch, "/none")
    fs.watch(file.path)
    wait.wait_until(function()
      collectgarbage()
      return count_watches() == before
    end, nil, "closed watches")
  end)
end)
