-- transactions.lua - cases of db:transaction, by name: functions that raise when one is wrong.
--
-- What a case writes is looked at from outside of its transactions: `all` is column a, by id.

local assert = require "luassert"
local async = require "perilune.async"
local sqlite = require "perilune.sqlite"

local expect = require(((...):gsub("%w+$", "expect")))

local all, case, misuse = expect.all, expect.case, expect.misuse

local transactions = {}

local function insert(db, a)
  return db:exec("insert into t (a) values (?)", a)
end

transactions["what the function returns is returned"] = case(function(db)
  local function give(tx)
    assert.equal("transaction: open", tostring(tx))
    insert(tx, 1)
    return 1, nil, "three", nil
  end
  local results = table.pack(db:transaction(give))
  assert.same({ 1, nil, "three", nil, n = 4 }, results)
  assert.equal(0, select("#", db:transaction(function() end)))
  assert.equal("1", all(db))
end)

transactions["an error rolls back and passes through"] = case(function(db)
  local failure = setmetatable({}, { __tostring = function() return "mine" end })
  local ok, err = pcall(db.transaction, db, function(tx)
    insert(tx, 1)
    insert(db, 2)
    error(failure)
  end)
  assert.is_false(ok)
  assert.equal(failure, err)
  assert.equal("", all(db))
  expect.fails("SQLITE_ERROR", db.transaction, db, function()
    insert(db, 1)
    db:exec "nonsense"
  end)
  assert.equal("", all(db))
end)

transactions["the handle joins its own transaction"] = case(function(db, path)
  local other <close> = sqlite.open(path)
  db:transaction(function(tx)
    insert(db, 1)
    insert(other, 2)
    assert.equal("1 2", all(tx))
    assert.equal("1 2", all(db))
    assert.equal("1 2", all(other))
    local count = 0
    for _ in db:rows "select * from t" do count = count + 1 end
    assert.equal(2, count)
  end)
  assert.equal("1 2", all(db))
end)

transactions["a nested one is a savepoint"] = case(function(db)
  db:transaction(function(tx)
    insert(tx, 1)
    pcall(tx.transaction, tx, function(inner)
      insert(inner, 2)
      pcall(inner.transaction, inner, function() insert(db, 3) end)
      assert.equal("1 2 3", all(db))
      insert(tx, 4) -- the outer one's name is no way around the inner one
      error "no"
    end)
    assert.equal("1", all(tx))
    db:transaction(function() insert(db, 5) end)
    assert.equal("1 5", all(tx))
  end)
  assert.equal("1 5", all(db))
end)

transactions["what is started inside joins"] = case(function(db)
  local function add(a) insert(db, a) end
  db:transaction(function()
    async.gather({ add, 1 }, { add, 2 }, { add, 3 })
    async.run_blocking(add, 4)
    async.spawn(add, 5):wait()
    assert.equal(5, db:value "select count(*) from t")
  end)
  pcall(db.transaction, db, function()
    async.gather({ add, 6 }, { add, 7 })
    async.run_blocking(function() insert(db, 8) end)
    error "no"
  end)
  assert.equal("1 2 3 4 5", all(db):gsub("^%d %d %d", "1 2 3"))
end)

transactions["savepoints of siblings take turns"] = case(function(db)
  local function nested(i)
    pcall(db.transaction, db, function()
      insert(db, i)
      async.checkpoint()
      insert(db, i)
      if i % 2 == 0 then error "no" end
    end)
  end
  db:transaction(function()
    local children = {}
    for i = 1, 8 do children[i] = { nested, i } end
    async.gather(children)
    insert(db, 9)
  end)
  assert.equal(1 + 1 + 3 + 3 + 5 + 5 + 7 + 7 + 9, db:value "select sum(a) from t")
end)

transactions["others wait, in order"] = case(function(db)
  local entered, order = async.event(), {}
  local go = async.event()
  local function first()
    db:transaction(function()
      entered:set()
      go:wait()
      insert(db, 0)
    end)
  end
  local function later(i)
    db:transaction(function()
      order[#order + 1] = i
      insert(db, i)
      async.checkpoint()
      insert(db, i)
    end)
  end
  local holder = async.spawn(first)
  entered:wait()
  local waiting = {}
  for i = 1, 5 do
    waiting[i] = async.spawn(later, i)
    async.checkpoint()
  end
  assert.equal("", all(db)) -- reading does not wait
  local plain = async.spawn(insert, db, 6)
  async.checkpoint()
  assert.same({}, order)
  go:set()
  for i = 1, 5 do waiting[i]:wait() end
  plain:wait()
  holder:wait()
  assert.same({ 1, 2, 3, 4, 5 }, order)
  assert.equal("0 1 1 2 2 3 3 4 4 5 5 6", all(db))
end)

transactions["a transaction that has ended is refused"] = case(function(db)
  local kept
  db:transaction(function(tx) kept = tx end)
  assert.equal("transaction: ended", tostring(kept))
  misuse("the transaction has ended", function() kept:exec "delete from t" end)
  misuse("the transaction has ended", function() kept:transaction(print) end)
  misuse("db:transaction takes a function", function() db:transaction "delete from t" end)
  misuse("use a colon", function() db.transaction(print) end)
end)

transactions["a failed statement leaves the rest"] = case(function(db)
  db:transaction(function()
    insert(db, 1)
    db:exec("insert into t (a, b) values (2, 'x')")
    expect.fails("SQLITE_CONSTRAINT_UNIQUE", db.exec, db,
      "insert into t (a, b) values (3, 'y'), (4, 'x')")
    expect.fails("SQLITE_ERROR", db.exec, db, "insert into t (a) values (5); nonsense")
    insert(db, 6)
  end)
  assert.equal("1 2 6", all(db))
end)

transactions["a lost transaction is no longer written to"] = case(function(db)
  db:exec "insert into t (a, b) values (0, 'x')"
  local err = expect.fails("SQLITE_ABORT_ROLLBACK", db.transaction, db, function()
    insert(db, 1)
    expect.fails("SQLITE_CONSTRAINT_UNIQUE", db.exec, db,
      "insert or rollback into t (b) values ('x')")
    expect.fails("SQLITE_ABORT_ROLLBACK", insert, db, 2)
    expect.fails("SQLITE_ABORT_ROLLBACK", db.transaction, db, function() insert(db, 3) end)
  end)
  assert.equal("COMMIT", err.sql)
  assert.equal("0", all(db))
  insert(db, 4)
  assert.equal("0 4", all(db))
end)

transactions["a commit that fails rolls back"] = case(function(db)
  db:exec "create table u (t integer references t (id) deferrable initially deferred)"
  expect.fails("SQLITE_CONSTRAINT_FOREIGNKEY", db.transaction, db, function()
    insert(db, 1)
    db:exec "insert into u values (99)"
  end)
  assert.equal("", all(db))
  db:transaction(function()
    db:exec "insert into u values (1)"
    insert(db, 2)
  end)
  assert.equal("2", all(db))
end)

transactions["a coroutine that is closed inside rolls back"] = case(function(db)
  local co = coroutine.wrap(function()
    db:transaction(function()
      insert(db, 1)
      coroutine.yield "inside"
    end)
  end)
  local kept = coroutine.create(function()
    db:transaction(function()
      insert(db, 2)
      coroutine.yield()
    end)
  end)
  assert.is_true(coroutine.resume(kept))
  assert.is_true(coroutine.close(kept))
  assert.equal("", all(db))
  assert.equal("inside", co())
  assert.is_nil(co())
  assert.equal("1", all(db))
end)

transactions["one in memory is like one in a file"] = function()
  local db <close> = sqlite.open ":memory:"
  db:exec(expect.TABLE)
  db:transaction(function(tx)
    insert(tx, 1)
    pcall(db.transaction, db, function() insert(db, 2) error "no" end)
    async.gather({ insert, db, 3 }, { insert, db, 4 })
  end)
  pcall(db.transaction, db, function() insert(db, 5) error "no" end)
  assert.equal(3, db:value "select count(*) from t")
end

transactions["two databases at once"] = case(function(db)
  local other <close> = sqlite.open ":memory:"
  other:exec(expect.TABLE)
  pcall(db.transaction, db, function()
    insert(db, 1)
    other:transaction(function() insert(other, 2) insert(db, 3) end)
    error "no"
  end)
  assert.equal("", all(db))
  assert.equal("2", all(other))
end)

return transactions
