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
  "create table singles (a, b)",
  "create table pairs (a, b)",
}
local app = perilune.app { name = "writer" }
local go
local count = 0
app:post("/one/{n:int}", function(req)
  db:exec("insert into t (a) values (?)", req.params.n)
  return 201
end)
local function write_single(acknowledged, n, i)
  db:exec("insert into singles values (?, ?)", n, i)
  acknowledged:send(("single %d %d\n"):format(n, i))
end
local function write_pair(acknowledged, n)
  db:transaction(function(tx)
    tx:exec("insert into pairs values (?, 1)", n)
    async.checkpoint()
    tx:exec("insert into pairs values (?, 2)", n)
  end)
  acknowledged:send(("pair %d\n"):format(n))
end
-- Four writes at once; a line for each as soon as it is done.
app:post("/burst/{n:int}", function(req)
  local n = req.params.n
  return perilune.stream(function(write)
    local acknowledged = async.channel(4)
    async.group(function(group)
      for i = 1, 3 do group:spawn(write_single, acknowledged, n, i) end
      group:spawn(write_pair, acknowledged, n)
      for _ = 1, 4 do write(acknowledged:receive()) end
    end)
  end)
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

local BURSTS, WRITERS = 1000, 24
local KILLED_AT = { 7, 400, 1500, 2200, 3300 } -- acknowledged writes, of four in each burst

local directory

before_each(function() directory = program.make_directory { ["app.lua"] = APP } end)
after_each(function() assert(os.execute("rm -rf '" .. directory .. "'")) end)

--- Asks for one burst; `note` is called with each write that is acknowledged.
local function ask_for_burst(server, number, note)
  local res <close> = server:post("/burst/" .. number, { stream = true })
  assert.equal(200, res.status)
  local rest = ""
  for piece in res:chunks() do
    for line in (rest .. piece):gmatch "([^\n]*)\n" do note(line) end
    rest = (rest .. piece):match "[^\n]*$"
  end
end

--- Asks for bursts, many at once, until `count` writes have been acknowledged in all rounds: then
--- the server is killed. What is acknowledged is noted in `written`, a set that has its `count`.
--- The number of the next burst.
local function write_until_killed(server, next_number, written, count)
  local function note(line)
    written[line] = true
    written.count = written.count + 1
    if written.count >= count then server:kill() end
  end
  local function write()
    while next_number <= BURSTS do
      local number = next_number
      next_number = number + 1
      local ok, err = pcall(ask_for_burst, server, number, note)
      if not ok then
        assert.equal("http", err.kind, tostring(err))
        return
      end
    end
  end
  local list = {}
  for i = 1, WRITERS do list[i] = write end
  async.gather(list)
  return next_number
end

--- Opens the database and finds in it all that is acknowledged, nothing twice and no half pair.
local function check_is_kept(written)
  local db <close> = sqlite.open(directory .. "/app.db")
  assert.equal("ok", db:value "pragma integrity_check")
  assert.is_nil(db:row "select a from pairs group by a having count(*) <> 2")
  assert.is_nil(db:row "select a from singles group by a, b having count(*) <> 1")
  local kept = {}
  for row in db:rows "select a, b from singles" do
    kept[("single %d %d"):format(row.a, row.b)] = true
  end
  for row in db:rows "select distinct a from pairs" do kept[("pair %d"):format(row.a)] = true end
  kept.count = written.count
  for line in pairs(written) do assert.is_truthy(kept[line], line) end
end

describe("a server that is killed while it writes", function()
  it("has kept all that it acknowledged, of 1,000 bursts of writes", function()
    local next_number = 1
    local written = { count = 0 }
    for _, count in ipairs(KILLED_AT) do
      next_number = write_until_killed(site.start_at(directory), next_number, written, count)
      assert.is_true(written.count >= count and next_number <= BURSTS)
      check_is_kept(written)
    end
    local server = site.start_at(directory)
    next_number = write_until_killed(server, next_number, written, math.huge)
    assert.equal(BURSTS + 1, next_number)
    server:kill()
    check_is_kept(written)
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
