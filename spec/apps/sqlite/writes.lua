-- writes.lua - cases of many writers at once, by name: functions that raise when one is wrong.
--
-- Writes that wait at the same time share a transaction; each is to have its own outcome.

local assert = require "luassert"
local async = require "perilune.async"

local expect = require(((...):gsub("%w+$", "expect")))

local all, case = expect.all, expect.case

local COUNT = 64

local writes = {}

local function settle(count, fn)
  local list = {}
  for i = 1, count do list[i] = { fn, i } end
  return async.settle(list)
end

--- Keeps the writer busy until all of them wait: they are surely done as one group.
local function settle_together(db, count, fn)
  local entered, go = async.event(), async.event()
  local holder = async.spawn(db.transaction, db, function()
    entered:set()
    go:wait()
  end)
  entered:wait()
  local waiting = async.spawn(settle, count, fn)
  for _ = 1, 10 do async.checkpoint() end
  go:set()
  holder:wait()
  return waiting:wait()
end

writes["64 writers have their own ids and changes"] = case(function(db)
  local seen = {}
  local results = settle(COUNT, function(i)
    local changes, id = db:exec("insert into t (a, b) values (?, ?)", i, i)
    assert.equal(1, changes)
    assert.equal(i, db:value("select a from t where id = ?", id))
    return id
  end)
  for i = 1, COUNT do
    assert.is_true(results[i].ok, tostring(results[i].error))
    assert.is_nil(seen[results[i].value])
    seen[results[i].value] = true
  end
  assert.equal(COUNT, db:value "select count(*) from t")
end, { synchronous = "full" })

writes["each fails by itself"] = case(function(db)
  db:exec "insert into t (b) values ('x')"
  local results = settle_together(db, COUNT, function(i)
    if i % 4 == 1 then return db:exec "insert into t (a, b) values (-1, 'x')" end
    if i % 4 == 2 then return db:exec "insert into nowhere values (1)" end
    if i % 4 == 3 then return db:exec("insert or rollback into t (a, b) values (-1, 'x')") end
    return db:exec("insert into t (a) values (?)", i)
  end)
  for i = 1, COUNT do
    local code = results[i].error and results[i].error.code
    local expected = ({ [1] = "SQLITE_CONSTRAINT_UNIQUE", [2] = "SQLITE_ERROR",
      [3] = "SQLITE_CONSTRAINT_UNIQUE" })[i % 4]
    assert.equal(expected, code)
  end
  assert.equal(COUNT // 4 + 1, db:value "select count(*) from t")
  assert.equal(0, db:value "select count(*) from t where a = -1")
end)

writes["a deferred foreign key fails who breaks it"] = case(function(db)
  db:exec "create table u (t integer references t (id) deferrable initially deferred)"
  local results = settle_together(db, COUNT, function(i)
    if i % 5 == 0 then return db:exec("insert into u values (?)", 1000 + i) end
    return db:exec("insert into t (a) values (?)", i)
  end)
  for i = 1, COUNT do
    local code = results[i].error and results[i].error.code
    assert.equal(i % 5 == 0 and "SQLITE_CONSTRAINT_FOREIGNKEY" or nil, code)
  end
  assert.equal(0, db:value "select count(*) from u")
  assert.equal(COUNT - COUNT // 5, db:value "select count(*) from t")
end)

writes["transactions, scripts and single writes mix"] = case(function(db)
  local results = settle(COUNT, function(i)
    if i % 3 == 0 then
      return db:exec "insert into t (a) values (1); insert into t (a) values (2)"
    end
    if i % 3 == 1 then return db:exec("insert into t (a) values (?)", 4) end
    return db:transaction(function(tx)
      tx:exec "insert into t (a) values (8)"
      async.checkpoint()
      if i % 2 == 0 then error "no" end
      tx:exec "insert into t (a) values (16)"
    end)
  end)
  local sum = 0
  for i = 1, COUNT do
    if i % 3 == 0 then sum = sum + 3 end
    if i % 3 == 1 then sum = sum + 4 end
    if i % 3 == 2 and i % 2 == 1 then sum = sum + 24 end
    assert.equal(not (i % 3 == 2 and i % 2 == 0), results[i].ok)
  end
  assert.equal(sum, db:value "select sum(a) from t")
end)

writes["one writer's writes keep their order"] = case(function(db)
  local list = {}
  for i = 1, 5 do
    list[i] = function()
      for n = 1, 20 do db:exec("insert into t (a, b) values (?, ?)", n, i * 100 + n) end
    end
  end
  async.gather(list)
  for i = 1, 5 do
    local numbers = {}
    for row in db:rows("select a from t where b / 100 = ? order by id", i) do
      numbers[#numbers + 1] = row.a
    end
    for n = 1, 20 do assert.equal(n, numbers[n]) end
  end
end)

writes["what was written can be read at once"] = case(function(db)
  local results = settle(COUNT, function(i)
    for n = 1, 5 do
      db:exec("insert into t (a, b) values (?, ?)", i, i * 10 + n)
      assert.equal(n, db:value("select count(*) from t where a = ?", i))
    end
  end)
  for i = 1, COUNT do assert.is_true(results[i].ok, tostring(results[i].error)) end
end)

writes["tables can change under prepared statements"] = case(function(db)
  assert.same({}, db:query "select * from t")
  db:exec "alter table t add column c default 5"
  db:exec "insert into t (a) values (1)"
  assert.same({ { id = 1, a = 1, c = 5 } }, db:query "select * from t")
  db:exec "drop table t"
  expect.fails("SQLITE_ERROR", db.query, db, "select * from t")
  db:exec(expect.TABLE)
  assert.equal("", all(db))
end)

return writes
