-- running_spec.lua - async.running(): what is alive, what it waits for, and where.
--
-- In a spec, in a handler and in a pool thread; each sees its own state's.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local json = require "perilune.json"
local site = require "support.site"

local LONG = 60

--- The row of a task.
local function row_of(task)
  for _, row in ipairs(async.running()) do
    if row.id == task.id then return row end
  end
end

--- The line that this is called in.
local function here() return debug.getinfo(2, "l").currentline end

describe("async.running", function()
  it("tells what each task waits for, and where", function()
    local line = here() + 1
    local function sleeper() async.sleep(LONG) end
    local sleeping = async.spawn(sleeper)
    local waiting = async.spawn(function(task) pcall(task.wait, task) end, sleeping)
    async.checkpoint()
    local row = row_of(sleeping)
    assert.equal("sleeper", row.name)
    assert.equal("waiting", row.state)
    assert.equal("async.sleep", row.waits_for)
    assert.is_truthy(row.source:find(("running_spec.lua:%d$"):format(line)))
    assert.is_true(row.age >= 0 and row.age < LONG)
    assert.equal("float", math.type(row.age))
    assert.equal("task:wait", row_of(waiting).waits_for)
    sleeping:cancel()
    pcall(waiting.wait, waiting)
    assert.is_nil(row_of(sleeping))
    assert.is_nil(row_of(waiting))
  end)

  it("tells of tasks that have not started, are ready or run", function()
    local open = false
    local ready = async.spawn(function() while not open do async.checkpoint() end end)
    async.checkpoint()
    local line = here() + 1
    local function next_one() end
    local new = async.spawn(next_one)
    assert.equal("new", row_of(new).state)
    assert.is_nil(row_of(new).waits_for)
    assert.is_truthy(row_of(new).source:find(("running_spec.lua:%d$"):format(line)))
    assert.equal("ready", row_of(ready).state)
    local own
    local task
    task = async.spawn(function() own = row_of(task) end)
    task:wait()
    assert.equal("running", own.state)
    assert.is_truthy(own.source:find "running_spec.lua:%d+$")
    open = true
    ready:wait()
  end)

  it("finds the line in an app's own coroutine, too", function()
    local line = here() + 2
    local task = async.spawn(function()
      for _ in coroutine.wrap(function() async.sleep(LONG) end) do end
    end)
    async.checkpoint()
    assert.equal("async.sleep", row_of(task).waits_for)
    assert.is_truthy(row_of(task).source:find(("running_spec.lua:%d$"):format(line)))
    task:cancel()
    pcall(task.wait, task)
  end)

  it("is a list that can be a response", function()
    local rows = async.running()
    assert.is_true(#rows >= 1)
    assert.is_truthy(json.encode(rows):find '^%[{"')
  end)
end)

describe("async.running in an app", function()
  local client

  setup(function() client = site.open "running" end)
  teardown(function() client:close() end)

  it("has requests by their route and id", function()
    local seen = client:get("/plain/x"):json()
    local own
    for _, row in ipairs(seen.rows) do own = row.id == seen.id and row or own end
    assert.equal("/plain/{name}", own.name)
    assert.equal("running", own.state)
  end)

  it("has what runs in a pool thread alone", function()
    local seen = client:get("/blocking"):json()
    assert.equal(2, #seen.rows)
    assert.equal("blocking function", seen.rows[1].name)
    assert.equal("in_pool", seen.rows[2].name)
    assert.equal(seen.id, seen.rows[1].id)
  end)
end)
