-- process_spec.lua - perilune.process, in every place that Lua code runs in.
--
-- The cases are functions in spec/apps/async/programs.lua. What depends on a place, or takes a
-- second, stands at the end; so does the end of a server whose programs still run.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local places = require "support.places"
local process = require "perilune.process"
local program = require "support.program"
local site = require "support.site"
local wait = require "support.wait"

local client

setup(function() client = site.open "async" end)
teardown(function() client:close() end)

places.describe("programs", require "apps.async.programs", function() return client end)

describe("a program", function()
  it("whose outputs somebody else holds is waited for a second, then that one is killed", function()
    local begun = async.now()
    local result = process.run { "sh", "-c", "(sleep 0.2; echo late; sleep 1000) & echo $!" }
    assert.is_true(async.now() - begun >= 1)
    local pid = result.stdout:match "^(%d+)\nlate\n$"
    assert.is_truthy(pid, result.stdout)
    wait.wait_until(function()
      return process.run({ "sh", "-c", "kill -0 $0 && grep -v Z /proc/$0/stat", pid }).stdout == ""
    end)
  end)

  it("is named in async.running", function()
    local task = async.spawn(process.run, { "sleep", 1000 })
    wait.wait_until(function()
      for _, entry in ipairs(async.running()) do
        if entry.id == task.id then return entry.waits_for == "a program" end
      end
    end)
    task:cancel()
    assert.is_false(pcall(task.wait, task))
  end)
end)

describe("a server that ends", function()
  it("takes the programs of every place along", function()
    local server = site.start("sleepers", { "--drain-timeout", "0" })
    local paths, pids = {}, {}
    for _, place in ipairs { "plain", "blocking", "background" } do
      paths[place] = os.tmpname()
      async.spawn(pcall, server.get, server, ("/%s?path=%s"):format(place, paths[place]))
    end
    for place, path in pairs(paths) do
      pids[place] = wait.wait_until(function() return program.read(path):match "%d+" end)
      os.remove(path)
    end
    assert.equal(0, server:stop())
    for place, pid in pairs(pids) do
      assert.equal("", program.read(("/proc/%s/stat"):format(pid)), place)
    end
  end)

  it("has run those of blocking functions at the priority of their thread", function()
    local server = site.start "sleepers"
    local stat = server:get("/nice").body:match "%) %a %-?%d+ .*"
    server:stop()
    local fields = {}
    for field in stat:gmatch "%S+" do fields[#fields + 1] = field end
    assert.equal("19", fields[18])
  end)
end)
