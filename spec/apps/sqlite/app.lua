-- app.lua - runs the cases of the modules beside it in a handler, in the pool and on a loop.
--
-- /plain/MODULE/NAME, /blocking/MODULE/NAME and /background/MODULE/NAME answer 200 when the case
-- went well, else 500 with what it said. A database is opened while the app loads.

local async = require "perilune.async"
local perilune = require "perilune"
local sqlite = require "perilune.sqlite"

local app = perilune.app { name = "sqlite" }

local loaded = sqlite.open ":memory:"
app.loaded = loaded:value("select ? || ?", "while it ", "loads")

local modules = {}
for _, name in ipairs { "values", "rows", "transactions", "cancels", "writes" } do
  modules[name] = require(name)
end

local function run_case(req)
  local case = modules[req.params.module][req.params.name]
  local ok, err = xpcall(case, debug.traceback)
  if not ok then return 500, tostring(err) end
  return "went well"
end

app:get("/plain/{module}/{name}", run_case)
app:get("/blocking/{module}/{name}", perilune.blocking(run_case))
app:get("/background/{module}/{name}", perilune.background("cases", run_case))

app:get("/loaded", function() return app.loaded end)

-- Seconds on the app's clock: of a query with a time limit, and of two transactions that sleep.
app:get("/clock", function()
  local db <close> = sqlite.open ":memory:"
  db:exec "create table t (a)"
  local started = async.now()
  async.timeout(1000, db.value, db, [[with recursive c(x) as
    (select 1 union all select x + 1 from c where x < 100000) select sum(x) from c]])
  local queried = async.now()
  local function sleep_inside()
    db:transaction(function(tx)
      tx:exec "insert into t values (1)"
      async.sleep(1000)
    end)
  end
  async.gather(sleep_inside, sleep_inside)
  return { query = queried - started, transactions = async.now() - queried }
end)

-- What another state makes of a handle.
app.functions = {
  count = perilune.blocking(function(db) return db:value "select count(*) from t" end),
  describe = perilune.blocking(function(db) return tostring(db) end),
  insert = perilune.blocking(function(db, a)
    local _, id = db:exec("insert into t (a) values (?)", a)
    return id
  end),
  insert_on_loop = perilune.background("writes", function(db, a)
    return db:exec("insert into t (a) values (?)", a)
  end),
  migrate = perilune.blocking(function(db, list) return db:migrate(list) end),
}

return app
