-- rows.lua - cases of db:rows, by name: functions that raise when something is wrong.
--
-- An iterator reads a few hundred rows ahead; so what has to be read bit by bit has many more.

local assert = require "luassert"
local async = require "perilune.async"
local perilune = require "perilune"
local sqlite = require "perilune.sqlite"

local expect = require(((...):gsub("%w+$", "expect")))

local case, misuse = expect.case, expect.misuse

local COUNT = 1200
local SERIES = [[with recursive c(x) as (select 1 union all select x + 1 from c where x < ?)
  select x, null as y from c]]

local rows = {}

local function sum_of(iterator)
  local sum = 0
  for row in iterator do sum = sum + row.x end
  return sum
end

rows["all rows come, in order"] = case(function(db)
  local at, wrong = 0, nil
  for row in db:rows(SERIES, COUNT) do
    at = at + 1
    if row.x ~= at or row.y ~= nil then wrong = wrong or at end
  end
  assert.is_nil(wrong)
  assert.equal(COUNT, at)
  for row in db:rows("select :a as a, null as b", { a = 5 }, { null = perilune.null }) do
    assert.same({ 5, perilune.null }, { row.a, row.b })
  end
  for _ in db:rows "select * from t" do error "there is none" end
end)

rows["an endless query can be left"] = case(function(db)
  local endless = "with recursive c(x) as (select 1 union all select x + 1 from c) select x from c"
  for _ = 1, 20 do
    for row in db:rows(endless) do if row.x == 600 then break end end
  end
  local iterator = db:rows(endless)
  assert.equal("rows: open", tostring(iterator))
  assert.equal(1, iterator().x)
  iterator:close()
  iterator:close()
  assert.equal("rows: closed", tostring(iterator))
  assert.is_nil(iterator())
  for _ = 1, 10 do db:rows(endless) end
  collectgarbage()
  assert.equal(1, db:value "select 1")
end)

rows["iterators keep nobody from reading or writing"] = case(function(db)
  db:exec("insert into t (a) " .. SERIES:gsub(", null as y", ""), COUNT)
  local seen = 0
  local list = {}
  for i = 1, 8 do
    list[i] = function()
      for row in db:rows "select id, a from t where id <= 600 order by id" do
        if row.id % 200 == 0 then
          local one = db:value "select 1"
          seen = seen + one
          db:exec("update t set b = ? where id = ?", row.id * 10 + i, COUNT)
        end
      end
    end
  end
  async.gather(list)
  assert.equal(8 * 3, seen)
end)

rows["an iterator in memory lets others write"] = function()
  local db <close> = sqlite.open ":memory:"
  db:exec "create table n (x integer primary key)"
  db:exec("insert into n select x from (" .. SERIES .. ")", COUNT)
  local count = 0
  for row in db:rows "select x from n order by x" do
    count = count + 1
    if row.x % 500 == 0 then db:exec("delete from n where x = ?", row.x - 100) end
  end
  assert.equal(COUNT, count)
end

rows["a snapshot does not change under an iterator"] = case(function(db)
  db:exec("insert into t (id) select x from (" .. SERIES .. ")", COUNT)
  local count = 0
  for _ in db:rows "select id from t" do
    if count == 0 then db:exec "delete from t" end
    count = count + 1
  end
  assert.equal(COUNT, count)
  assert.equal(0, db:value "select count(*) from t")
end)

rows["inside a transaction they see its writes, and end with it"] = case(function(db)
  local left
  db:transaction(function(tx)
    tx:exec("insert into t (id) select x from (" .. SERIES .. ")", COUNT)
    local count = 0
    for _ in tx:rows "select id from t" do count = count + 1 end
    assert.equal(COUNT, count)
    left = tx:rows "select id from t"
    assert.equal(1, left().id)
  end)
  local function read_on() for row in left do assert.is_table(row) end end
  local err = expect.fails("SQLITE_ABORT", read_on)
  assert.equal("the transaction has ended", err.message)
end)

rows["what is wrong is told at once"] = case(function(db)
  expect.fails("SQLITE_ERROR", db.rows, db, "select * from nowhere")
  misuse("db:rows is for reading", function() db:rows "delete from t" end)
  misuse("has 1 parameter", function() db:rows "select ?" end)
  misuse("more than one statement", function() db:rows "select 1; select 2" end)
  misuse("the SQL is empty", function() db:rows "" end)
  misuse("use a colon", function() db.rows "select 1" end)
  misuse("use a colon", function() db:rows "select 1".close() end)
  assert.equal(0, sum_of(db:rows "select id as x from t"))
end)

rows["too many iterators are refused"] = case(function(db)
  local kept = {}
  local err = expect.kind("full", function()
    for i = 1, 1000 do kept[i] = db:rows(SERIES, COUNT) end
  end)
  assert.is_truthy(err.message:find("100 iterators are open", 1, true))
  assert.equal(100, #kept)
  for _, iterator in ipairs(kept) do iterator:close() end
  expect.until_true(function() return (pcall(db.rows, db, SERIES, COUNT)) end)
end)

rows["one task at a time reads"] = case(function(db)
  local iterator = db:rows(SERIES, COUNT)
  local reading = async.spawn(function() return sum_of(iterator) end)
  local ok, err = true
  expect.until_true(function()
    if reading.status == "done" then return true end
    ok, err = pcall(iterator)
    return not ok
  end)
  reading:wait()
  if not ok then assert.is_truthy(tostring(err):find("another task reads", 1, true)) end
end)

return rows
