-- 005_groups_end_spec.lua - a group whose function ends where nothing can wait; tasks not started.
--
-- The fiber of such a group was left parked on the group's list while it ran on; async.running()
-- looked at the coroutine of a task that had none yet.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/regress/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local site = require "support.site"

--- A coroutine with a group whose function has yielded, and whose child goes on until it is open.
local function suspended_group()
  local gate = async.event()
  local co = coroutine.create(function()
    async.group(function(group)
      group:spawn(function() gate:wait() end)
      coroutine.yield()
    end)
  end)
  assert.is_true(coroutine.resume(co))
  return co, gate
end

local function resume_in_sort(co)
  local ok, err
  table.sort({ 2, 1 }, function(a, b)
    if not err then ok, err = coroutine.resume(co) end
    return a < b
  end)
  return ok, err
end

describe("a group that ends where nothing can wait", function()
  it("says so, cancels its children and leaves its task as it was", function()
    local co, gate = suspended_group()
    async.checkpoint()
    local ok, err = resume_in_sort(co)
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find "async.group cannot wait", err)
    gate:set()
    local other, rounds = async.event(), 0
    local task = async.spawn(function()
      for _ = 1, 5 do
        async.checkpoint()
        rounds = rounds + 1
      end
      other:set()
    end)
    other:wait() -- nothing of the group wakes this wait before
    assert.equal(5, rounds)
    task:wait()
  end)

  it("may be the last that its task does", function()
    local kept
    local task = async.spawn(function()
      kept = suspended_group()
      resume_in_sort(kept)
    end)
    task:wait()
    for _ = 1, 5 do async.checkpoint() end
    assert.equal("dead", coroutine.status(kept))
  end)
end)

describe("async.running", function()
  it("has tasks that wait for their point, each with where its function is", function()
    local client = site.open "running"
    local seen = client:get("/scheduled"):json()
    client:close()
    local count = 0
    for _, row in ipairs(seen) do
      if row.name == "later" then
        count = count + 1
        assert.equal("new", row.state)
        assert.is_truthy(row.source:find "running/app.lua:%d+$", row.source)
      end
    end
    assert.equal(50, count)
  end)
end)
