-- expect.lua - what the cases of this directory share: databases of their own, and calls that fail.
--
-- A case gets a database in a file of its own, with a table t, and leaves nothing behind. FOREVER
-- is a query that only an interruption ends.

local assert = require "luassert"
local async = require "perilune.async"
local sqlite = require "perilune.sqlite"

local expect = { LIMIT_S = 30, SOON_S = 0.02 }

expect.FOREVER = [[with recursive c(x) as (select 1 union all select x + 1 from c)
  select count(*) from c]]
expect.TABLE = "create table t (id integer primary key, a, b unique)"

function expect.remove(path)
  for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
end

--- A case with a database of its own, for its function: db, path.
function expect.case(fn, options)
  return function()
    local path = os.tmpname()
    local _ <close> = setmetatable({}, { __close = function() expect.remove(path) end })
    local db <close> = sqlite.open(path, options)
    db:exec(expect.TABLE)
    fn(db, path)
  end
end

--- The error of a call that must raise one of kind "sqlite" with that code.
function expect.fails(code, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal("table", type(err), tostring(err))
  assert.equal("sqlite", err.kind, tostring(err))
  assert.equal(code, err.code, tostring(err))
  return err
end

function expect.kind(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(kind, type(err) == "table" and err.kind or nil, tostring(err))
  return err
end

--- A misuse: its text has the part, and the line of the function that calls it.
function expect.misuse(part, fn)
  local ok, err = pcall(fn)
  assert.is_false(ok)
  assert.equal("string", type(err), tostring(err))
  assert.is_truthy(err:find(part, 1, true), err)
  local info = debug.getinfo(fn, "S")
  local line = ("%s:%d:"):format(info.short_src, info.linedefined)
  assert.is_truthy(err:find(line, 1, true), err .. " is not at " .. line)
end

--- Lets others run until the check holds.
function expect.until_true(check)
  local deadline = async.now() + expect.LIMIT_S
  while not check() do
    if async.now() > deadline then error("waited in vain", 2) end
    async.sleep(0.001)
  end
end

--- The values of column a, in order of id, as text.
function expect.all(db)
  return db:value "select group_concat(a, ' ') from (select a from t order by id)" or ""
end

return expect
