-- sqlite_processes_spec.lua - databases that outlive their process, or are shared with another one.
--
-- A server writes while requests come, and is killed in the middle: what it has acknowledged is
-- there afterwards. Another one holds a lock for as long as it is asked to.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = ("%s/?.lua;%s/apps/sqlite/?.lua;%s"):format(spec, spec, package.path)

local async = require "perilune.async"
local expect = require "expect"
local program = require "support.program"
local site = require "support.site"
local sqlite = require "perilune.sqlite"
local wait = require "support.wait"

local APP = [==[
local async = require "perilune.async"
local log = require "perilune.log"
local perilune = require "perilune"
local sqlite = require "perilune.sqlite"
local db = sqlite.open "app.db"
db:migrate {
  "create table t (id integer primary key, a)",
  "create table pairs (a, b)",
}
local app = perilune.app { name = "writer" }
local go
local count = 0
app:post("/one/{n:int}", function(req)
  db:exec("insert into t (a) values (?)", req.params.n)
  return 201
end)
app:post("/two/{n:int}", function(req)
  db:transaction(function(tx)
    tx:exec("insert into pairs values (?, 1)", req.params.n)
    tx:exec("insert into pairs values (?, 2)", req.params.n)
  end)
  return 201
end)
app:post("/hold", function(req)
  local held = async.event()
  go = async.event()
  req.tasks:schedule(db.transaction, db, function(tx)
    tx:exec "insert into t (a) values ('held')"
    held:set()
    go:wait()
  end)
  held:wait()
  return 201
end)
app:post("/forever", function()
  count = count + 1
  log.info("forever " .. count)
  db:value [[with recursive c(x) as (select 1 union all select x + 1 from c) select max(x) from c]]
end)
app:post("/release", function() go:set() return 201 end)
return app
]==]

local ROUNDS, WRITERS, ACKNOWLEDGED_MIN = 4, 24, 25

local directory

before_each(function() directory = program.make_directory { ["app.lua"] = APP } end)
after_each(function() assert(os.execute("rm -rf '" .. directory .. "'")) end)

--- Writes by many at once until the server is killed; the numbers acknowledged, by route.
local function write_until_killed(server, first)
  local acknowledged = { one = {}, two = {} }
  local next_number = first
  local function write(i)
    local route = i % 2 == 0 and "one" or "two"
    while true do
      local number = next_number
      next_number = number + 1
      local ok, res = pcall(server.post, server, ("/%s/%d"):format(route, number))
      if not ok then return end
      assert.equal(201, res.status)
      table.insert(acknowledged[route], number)
      local least = math.min(#acknowledged.one, #acknowledged.two)
      if least >= ACKNOWLEDGED_MIN then server:kill() end
    end
  end
  local list = {}
  for i = 1, WRITERS do list[i] = { write, i } end
  async.gather(list)
  return acknowledged, next_number
end

describe("a server that is killed while it writes", function()
  it("has kept all that it acknowledged", function()
    local number = 1
    local written = { one = {}, two = {} }
    for _ = 1, ROUNDS do
      local acknowledged
      acknowledged, number = write_until_killed(site.start_at(directory), number)
      for route, numbers in pairs(acknowledged) do
        table.move(numbers, 1, #numbers, #written[route] + 1, written[route])
      end
      local db <close> = sqlite.open(directory .. "/app.db")
      assert.equal("ok", db:value "pragma integrity_check")
      for _, n in ipairs(written.one) do
        assert.equal(1, db:value("select count(*) from t where a = ?", n))
      end
      for _, n in ipairs(written.two) do
        assert.equal(2, db:value("select count(*) from pairs where a = ?", n))
      end
      assert.is_nil(db:value "select a from pairs group by a having count(*) <> 2")
    end
    assert.is_true(#written.one >= ROUNDS * ACKNOWLEDGED_MIN)
  end)
end)

describe("a server that is stopped", function()
  it("leaves what its databases do", function()
    local server = site.start_at(directory, { "--drain-timeout", "0.1" })
    assert.equal(201, server:post "/hold".status)
    local queries = {}
    for i = 1, 6 do queries[i] = async.spawn(pcall, server.post, server, "/forever") end
    local waiting = async.spawn(pcall, server.post, server, "/one/1")
    wait.for_log(server, "forever 6()")
    server:signal "TERM"
    for i = 1, 6 do queries[i]:wait() end
    waiting:wait()
    assert.equal(0, server:wait())
    local db <close> = sqlite.open(directory .. "/app.db")
    local left = expect.all(db) -- the one that waited may have had its turn before its cancel
    assert.is_true(left == "" or left == "1", left)
    assert.equal("ok", db:value "pragma integrity_check")
  end)
end)

describe("a lock of another process", function()
  local server

  before_each(function()
    server = site.start_at(directory)
    assert.equal(201, server:post "/hold".status)
  end)
  after_each(function() server:kill() end)

  it("is waited for", function()
    local db <close> = sqlite.open(directory .. "/app.db", { busy_timeout = expect.LIMIT_S })
    local single = async.spawn(db.exec, db, "insert into t (a) values ('here')")
    local transaction = async.spawn(db.transaction, db, function(tx)
      tx:exec "insert into t (a) values ('there')"
    end)
    assert.equal(0, db:value "select count(*) from t") -- reading does not wait
    server:post "/release"
    single:wait()
    transaction:wait()
    assert.equal("held here there", expect.all(db))
  end)

  it("is waited for no longer than it was asked for, or wanted", function()
    local db <close> = sqlite.open(directory .. "/app.db", { busy_timeout = 0.05 })
    local sql = "insert into t (a) values (1)"
    local err = expect.fails("SQLITE_BUSY", db.exec, db, sql)
    assert.equal("database is locked", err.message)
    expect.fails("SQLITE_BUSY", db.transaction, db, function() error "not begun" end)
    for _, outcome in ipairs(async.settle({ db.exec, db, sql }, { db.exec, db, sql })) do
      assert.equal("SQLITE_BUSY", outcome.error.code)
    end
  end)

  it("does not outlast its waiter", function()
    local db <close> = sqlite.open(directory .. "/app.db", { busy_timeout = expect.LIMIT_S })
    local sql = "insert into t (a) values (1)"
    expect.kind("timeout", async.timeout, expect.SOON_S, db.exec, db, sql)
    expect.kind("timeout", async.timeout, expect.SOON_S, db.transaction, db, print)
    assert.equal(0, db:value "select count(*) from t")
    server:post "/release"
    db:exec(sql)
    assert.equal("held 1", expect.all(db))
  end)
end)
