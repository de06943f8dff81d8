-- values.lua - cases of parameters, values and results, by name: functions that raise.
--
-- sqlite_spec.lua runs them in a spec's fiber, and again in handlers of each kind through app.lua.

local assert = require "luassert"
local json = require "perilune.json"
local perilune = require "perilune"
local sqlite = require "perilune.sqlite"

local expect = require(((...):gsub("%w+$", "expect")))

local case, misuse = expect.case, expect.misuse

local values = {}

local function round_trip(db, value)
  return db:value("select ?", value)
end

values["integers keep all bits"] = case(function(db)
  for _, value in ipairs { 0, 1, -1, 2 ^ 53 // 1 | 0, math.maxinteger, math.mininteger } do
    local back = round_trip(db, value)
    assert.equal("integer", math.type(back))
    assert.equal(value, back)
  end
end)

values["floats stay floats"] = case(function(db)
  for _, value in ipairs { 0.1, 5.0, -1e300, 2.0 ^ 70, math.huge, -math.huge } do
    local back = round_trip(db, value)
    assert.equal("float", math.type(back))
    assert.equal(value, back)
  end
  assert.is_nil(round_trip(db, 0 / 0)) -- as SQLite has it
end)

values["text and blobs keep every byte"] = case(function(db)
  for _, value in ipairs { "", "a", "a\0b", "\0", "\xFF\xFE", ("x"):rep(100000) } do
    assert.equal(value, round_trip(db, value))
    assert.equal(value, round_trip(db, sqlite.blob(value)))
    assert.equal("text", db:value("select typeof(?)", value))
    assert.equal("blob", db:value("select typeof(?)", sqlite.blob(value)))
  end
  assert.equal(3, db:value("select length(?)", sqlite.blob "a\0b"))
  assert.equal("blob: 3 bytes", tostring(sqlite.blob "a\0b"))
end)

values["booleans are 1 and 0, null is NULL"] = case(function(db)
  assert.equal(1, round_trip(db, true))
  assert.equal(0, round_trip(db, false))
  assert.is_nil(round_trip(db, perilune.null))
  assert.equal(1, db:value("select ? is null", perilune.null))
  assert.equal(1, db:value("select ? is null", nil))
end)

values["nil counts, also at the end"] = case(function(db)
  local row = db:row("select ? as a, ? as b, ? as c, ? as d", nil, 1, nil, nil)
  assert.same({ b = 1 }, row)
  misuse("has 2 parameters, but 1 was given (nil is NULL, also at the end)",
    function() db:query("select ?, ?", 1) end)
  misuse("has 1 parameter, but 2 were given", function() db:query("select ?", 1, nil) end)
  misuse("has 0 parameters, but 1 was given", function() db:exec("delete from t", 1) end)
end)

values["names take a table"] = case(function(db)
  local named = { a = 1, b = "two", c = 3.5, unused = 1 }
  local row = db:row("select :a as a, @b as b, $c as c, :a as d", named)
  assert.same({ a = 1, b = "two", c = 3.5, d = 1 }, row)
  assert.is_nil(db:value("select :a", { a = perilune.null }))
  misuse("parameter :b is missing (perilune.null is NULL)",
    function() db:query("select :a, :b", { a = 1 }) end)
  misuse("has no name", function() db:query("select ?", { a = 1 }) end)
  misuse("has no parameters", function() db:query("select 1", { a = 1 }) end)
  misuse("by name", function() db:query("select ?", { 1 }) end)
  misuse("one table has all", function() db:query("select :a", { a = 1 }, 2, 3) end)
end)

values["what cannot be a value is named"] = case(function(db)
  misuse("a function cannot be the value of a parameter",
    function() db:query("select ?", print) end)
  misuse("a table cannot be the value of parameter \"a\"",
    function() db:query("select :a", { a = {} }) end)
  misuse("bad argument #3 to 'query'", function() db:query("select ?, ?", 1, io.stdout) end)
  misuse("string expected", function() db:query(1) end)
  misuse("SQL has no NUL", function() db:query "select 1\0" end)
end)

values["rows are a JSON array, also without any"] = case(function(db)
  assert.equal("[]", json.encode(db:query "select * from t"))
  db:exec "insert into t (a) values (7)"
  assert.equal("[{\"a\":7}]", json.encode(db:query "select a, b from t"))
end)

values["NULL is absent, or null when asked for"] = case(function(db, path)
  db:exec "insert into t (a) values (1)"
  local null = { null = perilune.null }
  assert.same({ { id = 1, a = 1 } }, db:query "select * from t")
  assert.equal(perilune.null, db:query("select * from t", null)[1].b)
  assert.equal(perilune.null, db:row("select * from t where a = ?", 1, null).b)
  assert.equal(perilune.null, db:row("select * from t where a = :a", { a = 1 }, null).b)
  assert.equal(perilune.null, db:value("select b from t", null))
  local other <close> = sqlite.open(path, null)
  assert.equal(perilune.null, other:row "select * from t".b)
  misuse('unknown option "nul" (did you mean "null"?)',
    function() db:query("select ?", 1, { nul = 1 }) end)
  misuse('option "null" is perilune.null, not a boolean',
    function() db:query("select ?", 1, { null = true }) end)
end)

values["row and value take the first, or nil"] = case(function(db)
  assert.is_nil(db:row "select * from t")
  assert.is_nil(db:value "select a from t")
  db:exec "insert into t (a) values (1), (2)"
  assert.equal(1, db:row "select a from t order by a".a)
  assert.equal(2, db:value "select a, id from t order by a desc")
end)

values["exec gives changes and the last id"] = case(function(db)
  local changes, id = db:exec("insert into t (a) values (1), (2), (3)")
  assert.same({ 3, 3 }, { changes, id })
  assert.same({ 2 }, { db:exec "update t set a = 0 where id < 3" })
  assert.same({ 0 }, { db:exec "delete from t where a = 99" })
  assert.same({ 0 }, { db:exec "create index i on t (a)" })
  assert.same({ 0 }, { db:exec "insert or ignore into t (id) values (1)" })
  assert.same({ 0 }, { db:exec "select 1" })
end)

values["a query may write"] = case(function(db)
  assert.same({ { id = 1 }, { id = 2 } }, db:query "insert into t (a) values (5), (6) returning id")
  assert.equal(3, db:value "insert into t (a) values (7), (8) returning id")
  assert.equal(4, db:value "select count(*) from t")
  assert.equal(4, db:value [[with big as (select 5 as n) select count(*) from t, big where a >= n]])
  db:query "with gone as (select 1 as id) delete from t where id in (select id from gone)"
  assert.equal("6 7 8", expect.all(db))
end)

values["several statements are done as one"] = case(function(db)
  local changes = db:exec [[
    insert into t (a) values (1); -- the first;
    /* ; */ insert into t (a) values (';');
    create trigger x after insert on t begin
      update t set b = new.id where id = new.id; end;
  ]]
  assert.equal(2, changes)
  local broken = "insert into t (a) values (9); insert into none values (1)"
  expect.fails("SQLITE_ERROR", db.exec, db, broken)
  assert.equal("1 ;", expect.all(db))
  misuse("SQL with parameters has one statement",
    function() db:exec("delete from t; delete from t where a = ?", 1) end)
  misuse("more than one statement", function() db:query "select 1; select 2" end)
  misuse("the SQL is empty", function() db:exec " -- nothing" end)
  assert.equal(1, db:value "select 1; -- nothing more")
end)

values["errors have code, message and SQL"] = case(function(db)
  db:exec("insert into t (a, b) values (?, ?)", 1, "x")
  local sql = "insert into t (a, b) values (?, ?)"
  local err = expect.fails("SQLITE_CONSTRAINT_UNIQUE", db.exec, db, sql, 2, "x")
  assert.equal("UNIQUE constraint failed: t.b", err.message)
  assert.equal("UNIQUE constraint failed: t.b", tostring(err))
  assert.equal(sql, err.sql)
  err = expect.fails("SQLITE_ERROR", db.query, db, "select * from nowhere")
  assert.equal("no such table: nowhere", err.message)
  assert.equal("select * from nowhere", err.sql)
end)

values["foreign keys are on"] = case(function(db)
  db:exec "create table u (t integer references t (id))"
  expect.fails("SQLITE_CONSTRAINT_FOREIGNKEY", db.exec, db, "insert into u values (1)")
  assert.equal(1, db:value "pragma foreign_keys")
  assert.equal("wal", db:value "pragma journal_mode")
end)

values["what belongs to transactions is refused"] = case(function(db)
  for _, sql in ipairs { "begin", "commit", "rollback", "savepoint a", "release a", "end" } do
    misuse("use db:transaction", function() db:exec(sql) end)
  end
  misuse("use db:transaction", function() db:exec "delete from t; commit" end)
  misuse("open that database by itself", function() db:exec "attach ':memory:' as x" end)
  assert.equal(0, (db:exec "vacuum"))
end)

values["a wrong self and a closed one say so"] = case(function(db)
  misuse("use a colon (db:query)", function() db.query "select 1" end)
  misuse("use a colon (db:close)", function() db.close {} end)
  local shown = tostring(db)
  db:close()
  db:close()
  assert.equal("sqlite: closed", tostring(db))
  assert.is_truthy(shown:find "^sqlite: /")
  misuse("the database is closed", function() db:value "select 1" end)
  misuse("the database is closed", function() db:transaction(print) end)
end)

return values
