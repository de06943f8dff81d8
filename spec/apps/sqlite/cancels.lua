-- cancels.lua - cases of cancelled and timed out calls, by name: functions that raise.
--
-- An interrupted query would never end; what is asserted is that it does, and what the database
-- has afterwards.

local assert = require "luassert"
local async = require "perilune.async"
local sqlite = require "perilune.sqlite"

local expect = require(((...):gsub("%w+$", "expect")))

local all, case = expect.all, expect.case
local FOREVER, SOON_S = expect.FOREVER, expect.SOON_S

local cancels = {}

local function insert(db, a)
  return db:exec("insert into t (a) values (?)", a)
end

--- All readers, and the writer, do what they are asked.
local function expect_usable(db)
  local list = {}
  for i = 1, 8 do list[i] = { db.value, db, "select ?", i } end
  assert.same({ 1, 2, 3, 4, 5, 6, 7, 8 }, { table.unpack(async.gather(list), 1, 8) })
  insert(db, "usable")
  assert.equal(1, (db:exec "delete from t where a = 'usable'"))
end

cancels["a query that is timed out is interrupted"] = case(function(db)
  for _ = 1, 6 do -- more than there are readers
    expect.kind("timeout", async.timeout, SOON_S, db.value, db, FOREVER)
  end
  expect.kind("timeout", async.timeout, SOON_S, db.rows, db, FOREVER)
  expect_usable(db)
end)

cancels["a query that is cancelled is interrupted"] = case(function(db)
  local tasks = {}
  for i = 1, 8 do tasks[i] = async.spawn(db.query, db, FOREVER) end
  async.sleep(SOON_S)
  for i = 1, 8 do tasks[i]:cancel "enough" end
  for i = 1, 8 do expect.kind("cancelled", tasks[i].wait, tasks[i]) end
  expect_usable(db)
end)

cancels["a query that computes holds no loop"] = case(function(db)
  local query = async.spawn(db.value, db, FOREVER)
  query.started:wait()
  for _ = 1, 100 do async.checkpoint() end
  for _ = 1, 10 do async.sleep(0.001) end
  assert.equal("running", query.status)
  query:cancel()
  expect.kind("cancelled", query.wait, query)
end)

cancels["a write that is timed out leaves nothing"] = case(function(db)
  local sql = "insert into t (a) " .. FOREVER
  expect.kind("timeout", async.timeout, SOON_S, db.exec, db, sql)
  local script = "insert into t (a) values (1); " .. sql
  expect.kind("timeout", async.timeout, SOON_S, db.exec, db, script)
  assert.equal("", all(db))
  expect_usable(db)
end)

cancels["a write of a group that is timed out hurts no other"] = case(function(db)
  local list = {}
  for i = 1, 20 do
    list[i] = function() insert(db, i) return "written" end
    if i % 7 == 0 then
      list[i] = function()
        expect.kind("timeout", async.timeout, SOON_S, db.exec, db, "insert into t (a) " .. FOREVER)
        return "timed out"
      end
    end
  end
  local results = async.gather(list)
  for i = 1, 20 do assert.equal(i % 7 == 0 and "timed out" or "written", results[i]) end
  assert.equal(18, db:value "select count(*) from t")
end)

cancels["a transaction that is timed out is rolled back"] = case(function(db)
  expect.kind("timeout", async.timeout, SOON_S, db.transaction, db, function()
    insert(db, 1)
    async.sleep(expect.LIMIT_S)
  end)
  assert.equal("", all(db))
  expect.kind("timeout", async.timeout, SOON_S, db.transaction, db, function()
    insert(db, 2)
    db:value(FOREVER)
  end)
  expect.kind("timeout", async.timeout, SOON_S, db.transaction, db, function()
    insert(db, 3)
    while true do end
  end)
  assert.equal("", all(db))
  expect_usable(db)
end)

cancels["one whose cancel was swallowed is rolled back too"] = case(function(db)
  local inside = async.event()
  local task = async.spawn(db.transaction, db, function()
    insert(db, 1)
    inside:set()
    pcall(async.sleep, expect.LIMIT_S)
    return "all is well"
  end)
  inside:wait()
  task:cancel()
  expect.kind("cancelled", task.wait, task)
  assert.equal("", all(db))
end)

cancels["a query that is timed out inside leaves the transaction"] = case(function(db)
  db:transaction(function()
    insert(db, 1)
    expect.kind("timeout", async.timeout, SOON_S, db.value, db, FOREVER)
    insert(db, 2)
    pcall(async.timeout, SOON_S, db.transaction, db, function()
      insert(db, 3)
      db:value(FOREVER)
    end)
    insert(db, 4)
  end)
  assert.equal("1 2 4", all(db))
end)

cancels["a write that is timed out inside ends the transaction"] = case(function(db)
  expect.fails("SQLITE_ABORT_ROLLBACK", db.transaction, db, function()
    insert(db, 1)
    expect.kind("timeout", async.timeout, SOON_S, db.exec, db, "insert into t (a) " .. FOREVER)
    expect.fails("SQLITE_ABORT_ROLLBACK", insert, db, 2)
  end)
  assert.equal("", all(db))
  expect_usable(db)
end)

cancels["those that wait can leave the queue"] = case(function(db)
  local entered, go = async.event(), async.event()
  local holder = async.spawn(db.transaction, db, function()
    entered:set()
    go:wait()
    insert(db, 1)
  end)
  entered:wait()
  expect.kind("timeout", async.timeout, SOON_S, db.transaction, db, function() insert(db, 2) end)
  expect.kind("timeout", async.timeout, SOON_S, insert, db, 3)
  local task = async.spawn(insert, db, 4)
  local last = async.spawn(insert, db, 5)
  async.checkpoint()
  task:cancel()
  expect.kind("cancelled", task.wait, task)
  go:set()
  holder:wait()
  last:wait()
  assert.equal("1 5", all(db))
end)

cancels["children of a transaction that fails end first"] = case(function(db)
  pcall(db.transaction, db, function()
    insert(db, 1)
    async.gather(function() db:value(FOREVER) end, function() error "no" end)
  end)
  assert.equal("", all(db))
  local stray
  pcall(db.transaction, db, function()
    insert(db, 2)
    stray = async.spawn(pcall, db.value, db, FOREVER)
    async.checkpoint()
    error "no"
  end)
  local ok = stray:wait() -- what still runs in it is interrupted
  assert.is_false(ok)
  assert.equal("", all(db))
  expect_usable(db)
end)

cancels["in a cancelled task nothing is begun"] = case(function(db)
  local task = async.spawn(function()
    pcall(async.sleep, expect.LIMIT_S)
    expect.kind("cancelled", insert, db, 1)
    expect.kind("cancelled", db.transaction, db, function() insert(db, 2) end)
    expect.kind("cancelled", sqlite.open, ":memory:")
    async.shield(insert, db, 3)
  end)
  async.checkpoint()
  task:cancel()
  pcall(task.wait, task)
  assert.equal("3", all(db))
end)

cancels["opening can be cancelled"] = case(function(_, path)
  for _ = 1, 20 do
    local task = async.spawn(sqlite.open, path)
    async.checkpoint()
    task:cancel()
    pcall(task.wait, task)
  end
  local db <close> = sqlite.open(path)
  expect_usable(db)
end)

return cancels
