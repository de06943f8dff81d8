-- sqlite_handles_spec.lua - opening, closing and sending databases; migrations; other processes.
--
-- What crosses to other states goes through functions of spec/apps/sqlite.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = ("%s/?.lua;%s/apps/sqlite/?.lua;%s"):format(spec, spec, package.path)

local async = require "perilune.async"
local expect = require "expect"
local program = require "support.program"
local site = require "support.site"
local sqlite = require "perilune.sqlite"

local client, f

setup(function()
  client = site.open "sqlite"
  f = client.app.functions
end)
teardown(function() client:close() end)

local directory

before_each(function() directory = program.make_directory() end)
after_each(function() assert(os.execute("rm -rf '" .. directory .. "'")) end)

local function path(name) return directory .. "/" .. name end

describe("open", function()
  it("works while an app loads", function()
    assert.equal("while it loads", client:get "/loaded".body)
  end)

  it("takes a path relative to the app", function()
    local err = expect.fails("SQLITE_CANTOPEN", sqlite.open, "no/such/directory.db")
    local pattern = "^cannot open /.*/no/such/directory%.db: no such file"
    assert.is_truthy(err.message:find(pattern), err.message)
  end)

  it("creates a file only when it may", function()
    expect.fails("SQLITE_CANTOPEN", sqlite.open, path "a.db", { create = false })
    expect.fails("SQLITE_CANTOPEN", sqlite.open, path "a.db", { readonly = true })
    local db <close> = sqlite.open(path "a.db")
    local same <close> = sqlite.open(path "a.db", { create = false })
    db:exec(expect.TABLE)
    assert.equal(0, same:value "select count(*) from t")
  end)

  it("refuses what is no database", function()
    expect.fails("SQLITE_CANTOPEN", sqlite.open, directory)
    local file <close> = assert(io.open(path "text", "w"))
    file:write(("this is no database "):rep(100))
    file:flush()
    expect.fails("SQLITE_NOTADB", sqlite.open, path "text")
    expect.fails("SQLITE_NOTADB", sqlite.open, path "text") -- and again
  end)

  it("gives one database for one file, whatever its name", function()
    local db <close> = sqlite.open(path "a.db")
    db:exec(expect.TABLE)
    assert(os.execute(("ln -s a.db '%s'"):format(path "b.db")))
    local other <close> = sqlite.open(path "b.db")
    db:transaction(function() -- another database would wait for itself
      other:exec "insert into t (a) values (1)"
      local third <close> = sqlite.open(path "../" .. directory:match "[^/]+$" .. "/a.db")
      third:exec "insert into t (a) values (2)"
    end)
    assert.equal("1 2", expect.all(db))
  end)

  it("refuses other options for a file that is open", function()
    local db <close> = sqlite.open(path "a.db", { synchronous = "full" })
    expect.misuse('is open already with another option "synchronous"',
      function() sqlite.open(path "a.db") end)
    local readonly <close> = sqlite.open(path "a.db", { readonly = true })
    db:exec(expect.TABLE)
    assert.equal("", expect.all(readonly))
    local sql = "insert into t (a) values (1)"
    expect.fails("SQLITE_READONLY", readonly.exec, readonly, sql)
    expect.fails("SQLITE_READONLY", readonly.query, readonly, sql .. " returning a")
  end)

  it("sets what is asked for", function()
    for name, number in pairs { off = 0, normal = 1, full = 2 } do
      local db <close> = sqlite.open(path(name), { synchronous = name, readers = 1, cache = 1 })
      db:transaction(function() assert.equal(number, db:value "pragma synchronous") end)
    end
  end)

  it("says what is wrong with its arguments", function()
    local misuse = expect.misuse
    misuse("use a dot: sqlite.open", function() sqlite:open "a.db" end)
    misuse("string expected", function() sqlite.open(1) end)
    misuse("a path expected", function() sqlite.open "" end)
    misuse("a path expected", function() sqlite.open "a\0b" end)
    misuse('unknown option "reader" (did you mean "readers"?)',
      function() sqlite.open(":memory:", { reader = 1 }) end)
    misuse('option "readers" is a whole number from 1 to 64, not 0',
      function() sqlite.open(":memory:", { readers = 0 }) end)
    misuse('option "synchronous" is "off", "normal" or "full", not "on"',
      function() sqlite.open(":memory:", { synchronous = "on" }) end)
    misuse('option "busy_timeout" is a number of seconds, not -1',
      function() sqlite.open(":memory:", { busy_timeout = -1 }) end)
    misuse('option "readonly" is true or false, not a number',
      function() sqlite.open(":memory:", { readonly = 1 }) end)
    misuse('option "create"',
      function() sqlite.open("a.db", { readonly = true, create = true }) end)
    misuse('option "null" is perilune.null',
      function() sqlite.open(":memory:", { null = true }) end)
    misuse("string expected", function() sqlite.blob(1) end)
  end)
end)

describe("close", function()
  it("lets what has begun go on to its end", function()
    local db = sqlite.open(path "a.db")
    db:exec(expect.TABLE)
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = async.spawn(db.exec, db, "insert into t (a) values (?)", i)
    end
    local rows = db:rows "select 1 as x"
    db:close()
    for i = 1, 20 do pcall(tasks[i].wait, tasks[i]) end
    assert.equal(1, rows().x)
    local again <close> = sqlite.open(path "a.db")
    for i = 1, 20 do
      local was_written = tasks[i].status == "done"
      assert.equal(was_written and 1 or 0, again:value("select count(*) from t where a = ?", i))
    end
  end)

  it("inside a transaction keeps nothing of it", function()
    local db = sqlite.open(path "a.db")
    db:exec(expect.TABLE)
    local again <close> = sqlite.open(path "a.db")
    local ok = pcall(db.transaction, db, function(tx)
      tx:exec "insert into t (a) values (1)"
      db:close()
      tx:exec "insert into t (a) values (2)"
      db:exec "insert into t (a) values (3)"
    end)
    assert.is_false(ok)
    assert.equal("", expect.all(again))
  end)

  it("happens by collection too, and leaves no log file", function()
    local function use()
      local db = sqlite.open(path "a.db")
      db:exec(expect.TABLE)
      assert.is_truthy(io.open(path "a.db-wal")):close()
    end
    use()
    expect.until_true(function()
      collectgarbage()
      local file = io.open(path "a.db-wal")
      if file then file:close() end
      return not file
    end)
  end)
end)

describe("a handle that is sent", function()
  for _, name in ipairs { "a file", "memory" } do
    it("is the same database there: " .. name, function()
      local db <close> = sqlite.open(name == "memory" and ":memory:" or path "a.db")
      db:exec(expect.TABLE)
      assert.equal(1, f.insert(db, "there"))
      assert.equal(1, f.insert_on_loop(db, "on a loop"))
      assert.equal(2, f.count(db))
      assert.equal("there on a loop", expect.all(db))
      assert.equal(tostring(db), f.describe(db))
    end)
  end

  it("joins the transaction that it is called from", function()
    local db <close> = sqlite.open(path "a.db")
    db:exec(expect.TABLE)
    pcall(db.transaction, db, function(tx)
      f.insert(db, 1)
      f.insert(tx, 2)
      f.insert_on_loop(tx, 3)
      assert.equal(3, f.count(db))
      pcall(db.transaction, db, function()
        f.insert(db, 4)
        error "no"
      end)
      assert.equal("1 2 3", expect.all(db))
      error "no"
    end)
    assert.equal("", expect.all(db))
    local ended
    db:transaction(function(tx) ended = tx end)
    local ok, err = pcall(f.insert, ended, 1)
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("the transaction has ended", 1, true))
    assert.equal("transaction: ended", f.describe(ended))
  end)

  it("is closed there when it was closed here", function()
    local db = sqlite.open ":memory:"
    local blob = async.run_blocking(function(b) return tostring(b) end, sqlite.blob "abc")
    assert.equal("blob: 3 bytes", blob)
    db:close()
    assert.equal("sqlite: closed", f.describe(db))
  end)

  it("is not another one in memory", function()
    local a <close> = sqlite.open ":memory:"
    local b <close> = sqlite.open ":memory:"
    a:exec(expect.TABLE)
    expect.fails("SQLITE_ERROR", b.query, b, "select * from t")
  end)
end)

describe("migrate", function()
  local list = {
    "create table t (id integer primary key, a)",
    function(tx) tx:exec("insert into t (a) values (?)", "made by a function") end,
    "alter table t add column b; create index i on t (b);",
  }

  it("applies what is new, once", function()
    local db <close> = sqlite.open(path "a.db")
    assert.equal(1, db:migrate { list[1] })
    assert.equal(2, db:migrate(list))
    assert.equal(0, db:migrate(list))
    assert.equal("made by a function", expect.all(db))
    assert.equal(3, db:value "select max(number) from perilune_migrations")
  end)

  it("refuses a changed list", function()
    local db <close> = sqlite.open(path "a.db")
    db:migrate(list)
    local misuse = expect.misuse
    misuse("migration 1 has been applied, and was changed since",
      function() db:migrate { "create table t (id)", list[2], list[3] } end)
    misuse("migration 2 has been applied, and was changed",
      function() db:migrate { list[1], "select 1", list[3] } end)
    misuse("migration 2 has been applied, but the list has only 1",
      function() db:migrate { list[1] } end)
    misuse("migration 1 is SQL or a function, not a number", function() db:migrate { 1 } end)
    misuse("a list, but this one has the key x", function() db:migrate { x = "select 1" } end)
    misuse("table expected", function() db:migrate "select 1" end)
  end)

  it("keeps those before one that fails, and nothing of that", function()
    local db <close> = sqlite.open(path "a.db")
    local broken = { list[1], "insert into t (a) values (1); insert into none values (1)" }
    local err = expect.fails("SQLITE_ERROR", db.migrate, db, broken)
    assert.equal(broken[2], err.sql)
    assert.equal("", expect.all(db))
    assert.equal(1, db:migrate { list[1], "insert into t (a) values (2)" })
    assert.equal("2", expect.all(db))
  end)

  it("is safe from several states at once", function()
    local db <close> = sqlite.open(path "a.db")
    local sql = { list[1], "insert into t (a) values (1)", "insert into t (a) values (2)" }
    local a, b, c = async.gather({ f.migrate, db, sql }, { f.migrate, db, sql },
      { db.migrate, db, sql })
    assert.equal(3, a + b + c)
    assert.equal("1 2", expect.all(db))
  end)
end)
