-- shared_spec.lua - perilune.shared in server processes with two workers.
--
-- Connections are spread over the workers by the kernel: many are made, so that both get some.

local async = require "perilune.async"
local site = require "support.site"
local wait = require "support.wait"

local server

before_each(function()
  server = site.start("shared", { "--workers", "2", "--shared-memory", "2m",
    "--drain-timeout", "0.1" })
end)
after_each(function() server:kill() end)

local function ask(path) return site.json(server, path) end

it("has one store for all workers, pools and loops", function()
  local calls = {}
  for i = 1, 30 do
    local paths = { "/count?n=100", "/count_blocking?n=100", "/count_background?n=100" }
    calls[i] = { ask, paths[i % 3 + 1] }
  end
  async.gather(calls)
  local hits = ask "/hits"
  assert.equal(3000, hits.count)
  assert.equal(30, #hits.list)
end)

it("wakes in both workers who waits for one value", function()
  local tasks = {}
  for i = 1, 20 do tasks[i] = async.spawn(ask, "/wait/key") end
  wait.wait_until(function() return ask "/get/waiting:key".value == 20 end)
  local left = #tasks
  for _, task in ipairs(tasks) do
    async.spawn(function()
      assert.equal("x", task:wait().value)
      left = left - 1
    end)
  end
  wait.wait_until(function()
    server:get "/set/key/x"
    return left == 0
  end)
end)

it("refuses what is more than --shared-memory, and goes on", function()
  local res = ask "/fill"
  assert.is_false(res.ok)
  assert.equal("full", res.kind)
  assert.is_truthy(res.message:find("all together may have 2097152 (--shared-memory)", 1, true))
  assert.equal(204, server:get("/set/a/b").status)
  assert.equal("b", ask "/get/a".value)
end)

it("stops while somebody waits", function()
  local task = async.spawn(pcall, server.get, server, "/wait/never")
  wait.wait_until(function() return ask "/get/waiting:never".value == 1 end)
  assert.equal(0, server:stop())
  task:wait()
end)
