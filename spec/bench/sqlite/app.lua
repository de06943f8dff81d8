-- app.lua - the workloads of databases: GET /NAME?seconds=N measures one.
--
-- The answer is a line for each figure, its name and value. Each checks that all it has written is
-- there. Inserts are durable (synchronous = "full"); the database is made in TMPDIR.

local async = require "perilune.async"
local perilune = require "perilune"
local sqlite = require "perilune.sqlite"

local WRITERS, ROWS = 64, 1000
local TABLE = "create table t (id integer primary key, a integer, b text)"
local INSERT = "insert into t (a, b) values (?, ?)"
local TEXT = ("x"):rep(100)

local function with_database(fn)
  local path = os.tmpname()
  local db = sqlite.open(path, { synchronous = "full" })
  db:exec(TABLE)
  local result = fn(db)
  db:close()
  for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
  return result
end

--- Calls of fn(db, i) a second, by so many coroutines at once.
local function rate(db, callers, seconds, fn)
  local done, started = 0, async.now()
  local deadline = started + seconds
  local function call(i)
    repeat
      fn(db, i)
      done = done + 1
    until async.now() >= deadline
  end
  local list = {}
  for i = 1, callers do list[i] = { call, i } end
  async.gather(list)
  return done / (async.now() - started), done
end

local function insert(db, i) db:exec(INSERT, i, TEXT) end

local function insert_alone(db, i)
  db:transaction(function(tx) tx:exec(INSERT, i, TEXT) end)
end

local function inserts(callers, fn)
  return function(seconds)
    return with_database(function(db)
      local per_second, done = rate(db, callers, seconds, fn)
      assert(db:value "select count(*) from t" == done)
      return per_second
    end)
  end
end

local workloads = {
  grouped = inserts(WRITERS, insert),
  alone = inserts(WRITERS, insert_alone),
  single = inserts(1, insert),
}

function workloads.lookups(seconds)
  return with_database(function(db)
    db:transaction(function() for i = 1, ROWS do insert(db, i) end end)
    return (rate(db, WRITERS, seconds, function(_, i)
      assert(db:row("select * from t where id = ?", i).a == i)
    end))
  end)
end

local app = perilune.app { name = "bench" }

app:get("/{name}", function(req)
  local workload = workloads[req.params.name] or perilune.abort(404)
  return ("%s %.3f\n"):format(req.params.name, workload(tonumber(req.query.seconds)))
end)

return app
