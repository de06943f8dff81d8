-- cases.lua - cases of perilune.shared, by name: functions that raise when something is wrong.
--
-- Run in a spec's fiber, a plain handler, a pool thread and a background loop. Each works on a
-- table of its own.

local assert = require "luassert"
local async = require "perilune.async"
local json = require "perilune.json"
local perilune = require "perilune"
local shared = require "perilune.shared"

local LONG, SHORT = 60, 0.02

local cases = {}

local function fresh(options)
  return shared("case " .. shared "cases":incr "count", options)
end

local function fails_with(kind, part, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(kind, type(err) == "table" and err.kind or nil, tostring(err))
  assert.is_truthy(tostring(err):find(part, 1, true), tostring(err))
  return err
end

local function misuse(part, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal("string", type(err), tostring(err))
  assert.is_truthy(err:find(part, 1, true), err)
end

local function until_true(check)
  local deadline = async.now() + LONG / 2
  while not check() do
    assert(async.now() < deadline, "waited in vain")
    async.sleep(0.001)
  end
end

-- --- values -------------------------------------------------------------------------------------

cases["values come back as what they were"] = function()
  local t = fresh()
  local values = { 1, -1, math.maxinteger, math.mininteger, 0.5, 1.0, math.huge, true, false, "",
    "short", ("x"):rep(24), ("x"):rep(25), ("long"):rep(10000), "\0\255", { 1, 2, { a = {} } }, {},
    perilune.null, json.array {} }
  for i, value in ipairs(values) do
    t:set(i, value)
    local back = t:get(i)
    assert.same(value, back)
    assert.equal(math.type(value), math.type(back))
  end
  assert.equal("[]", json.encode(t:get(#values)))
end

cases["a value that is a table is a copy"] = function()
  local t = fresh()
  local value = { 1 }
  value.self = value
  t:set("a", value)
  value[1] = 2
  local one, other = t:get "a", t:get "a"
  assert.equal(1, one[1])
  assert.equal(one, one.self)
  assert.is_false(rawequal(one, other))
end

cases["functions of the app are values too"] = function()
  local t = fresh()
  t:set("fn", cases.ten)
  assert.equal(10, t:get "fn" ())
end

function cases.ten() return 10 end

cases["what cannot cross is refused with its path"] = function()
  local t = fresh()
  fails_with("transfer", "value.file", t.set, t, "a", { file = io.stdout })
  assert.is_nil(t:get "a")
end

cases["keys are strings and integers"] = function()
  local t = fresh()
  t:set("1", "text")
  t:set(1, "integer")
  t:set(2.0, "two")
  assert.equal("text", t:get "1")
  assert.equal("integer", t:get(1))
  assert.equal("two", t:get(2))
  local keys = t:keys()
  table.sort(keys, function(a, b) return tostring(a) .. type(a) < tostring(b) .. type(b) end)
  assert.same({ 1, "1", 2 }, keys)
  misuse("a key is a string or an integer, not 1.5", t.get, t, 1.5)
  misuse("a key is a string or an integer, not table", t.get, t, {})
  misuse("a key is a string or an integer, not nil", t.set, t, nil, 1)
  misuse("a key has at most 8192 bytes, this one 8193", t.get, t, ("k"):rep(8193))
end

cases["keys of an empty table are an empty array"] = function()
  assert.equal("[]", json.encode(fresh():keys()))
end

cases["nil deletes, as delete does"] = function()
  local t = fresh()
  t:set("a", 1)
  t:set("b", 2)
  t:set("a", nil)
  t:delete "b"
  t:delete "never"
  assert.is_nil(t:get "a")
  assert.is_nil(t:get "b")
  assert.same({}, t:keys())
end

cases["add sets only what is not there"] = function()
  local t = fresh()
  assert.is_true(t:add("a", 1))
  assert.is_false(t:add("a", 2))
  assert.equal(1, t:get "a")
  assert.is_true(t:add("lock", true, SHORT))
  until_true(function() return t:add("lock", true, LONG) end)
  misuse("a value expected, got nil", t.add, t, "a", nil)
end

-- --- numbers ------------------------------------------------------------------------------------

cases["incr counts, in integers and floats"] = function()
  local t = fresh()
  assert.equal(1, t:incr "a")
  assert.equal(5, t:incr("a", 4))
  assert.equal("integer", math.type(t:incr("a", -10)))
  assert.equal(-5, t:get "a")
  assert.equal(-4.5, t:incr("a", 0.5))
  assert.equal("float", math.type(t:incr "a"))
  assert.equal(2.0, t:incr("b", 2.0))
end

cases["incr refuses what is no number, and what would be none"] = function()
  local t = fresh()
  t:set("text", "1")
  t:set("max", math.maxinteger)
  misuse('"text" in shared table "case ', t.incr, t, "text")
  misuse("is no number", t.incr, t, "text")
  misuse("too large for an integer", t.incr, t, "max")
  misuse("number expected, got string", t.incr, t, "a", "1")
  assert.equal("1", t:get "text")
  assert.equal(math.maxinteger, t:get "max")
end

cases["incr sets a time to live only where it makes the number"] = function()
  local t = fresh()
  assert.equal(1, t:incr("a", 1, LONG))
  assert.equal(2, t:incr("a", 1, 2 * LONG))
  assert.is_true(t:ttl "a" <= LONG)
  t:incr "b"
  t:incr("b", 1, LONG)
  assert.is_nil(t:ttl "b")
end

-- --- time ---------------------------------------------------------------------------------------

cases["a value expires"] = function()
  local t = fresh()
  t:set("a", 1, SHORT)
  t:set("b", 2, LONG)
  assert.is_true(t:ttl "b" > LONG / 2 and t:ttl "b" <= LONG)
  until_true(function() return t:get "a" == nil end)
  assert.same({ "b" }, t:keys())
  t:set("b", 3)
  assert.is_nil(t:ttl "b")
  assert.is_nil(t:ttl "never")
  misuse("more than 0 seconds", t.set, t, "a", 1, 0)
  misuse("number expected", t.set, t, "a", 1, "soon")
end

cases["update keeps the time to live"] = function()
  local t = fresh()
  t:set("a", 1, LONG)
  t:update("a", function(value) return value + 1 end)
  assert.is_true(t:ttl "a" > 0)
end

-- --- update -------------------------------------------------------------------------------------

cases["update gives the new value, and nil deletes"] = function()
  local t = fresh()
  assert.equal(1, t:update("a", function(old) return (old or 0) + 1 end))
  assert.same({ 1 }, t:update("a", function(old) return { old } end))
  assert.is_nil(t:update("a", function() end))
  assert.same({}, t:keys())
  misuse("function expected", t.update, t, "a", 1)
end

cases["an error in the function of update leaves the value"] = function()
  local t = fresh()
  t:set("a", 1)
  local err = {}
  local ok, raised = pcall(t.update, t, "a", function() error(err) end)
  assert.is_false(ok)
  assert.equal(err, raised)
  fails_with("transfer", "cannot be sent", t.update, t, "a", function() return io.stdout end)
  assert.equal(1, t:get "a")
end

cases["the function of update may wait, and runs again when the value was changed"] = function()
  local t = fresh()
  t:set("a", 1)
  local runs = 0
  local task = async.spawn(t.update, t, "a", function(old)
    runs = runs + 1
    async.sleep(SHORT)
    return old * 10
  end)
  until_true(function() return runs == 1 end)
  t:set("a", 2)
  assert.equal(20, task:wait())
  assert.equal(20, t:get "a")
  assert.equal(2, runs)
end

cases["many that wait in update lose nothing"] = function()
  local t = fresh()
  async.group(function(group)
    for _ = 1, 8 do
      group:spawn(function()
        for _ = 1, 3 do
          t:update("a", function(old)
            async.checkpoint()
            return (old or 0) + 1
          end)
        end
      end)
    end
  end)
  assert.equal(24, t:get "a")
end

cases["the function of update may use the table, but not change its own key"] = function()
  local t = fresh()
  assert.equal(3, t:update("a", function() return t:incr("b", 3) end))
  fails_with("conflict", "was changed each of the", t.update, t, "a", function()
    return t:incr "a"
  end)
end

cases["update can be cancelled in its function"] = function()
  local t = fresh()
  t:set("a", 1)
  fails_with("timeout", "", async.timeout, SHORT, t.update, t, "a", function()
    async.sleep(LONG)
    return 2
  end)
  assert.equal(1, t:get "a")
end

-- --- wait ---------------------------------------------------------------------------------------

cases["wait gives the next value"] = function()
  local t = fresh()
  local changes = {
    function() t:set("a", 1) end,
    function() t:incr("a", 5) end,
    function() t:update("a", function() return { "x" } end) end,
    function() t:delete "a" end,
    function() t:add("a", "again") end,
  }
  local expected = { 1, 6, { "x" }, nil, "again" }
  for i, change in ipairs(changes) do
    local waiting = async.event()
    local task = async.spawn(function()
      waiting:set()
      return t:wait("a", LONG)
    end)
    waiting:wait()
    async.checkpoint()
    change()
    assert.same({ n = 1, expected[i] }, table.pack(task:wait()))
  end
end

cases["wait wakes everybody who waits for that key, and nobody else"] = function()
  local t = fresh()
  local tasks = {}
  for i = 1, 5 do tasks[i] = async.spawn(t.wait, t, "a", LONG) end
  local other = async.spawn(t.wait, t, "b", LONG)
  async.sleep(0.001)
  t:set("a", 1)
  for _, task in ipairs(tasks) do assert.equal(1, task:wait()) end
  assert.equal("running", other.status)
  other:cancel()
end

cases["wait ends at its limit"] = function()
  local t = fresh()
  fails_with("timeout", "was not changed in time", t.wait, t, "a", SHORT)
  fails_with("timeout", "was not changed in time", t.wait, t, "a", 0)
  misuse("number expected", t.wait, t, "a", "soon")
end

cases["wait sees a value expire"] = function()
  local t = fresh()
  t:set("a", 1, SHORT)
  assert.is_nil(t:wait("a", LONG))
end

cases["wait can be cancelled"] = function()
  local t = fresh()
  local task = async.spawn(t.wait, t, "a")
  async.checkpoint()
  task:cancel "enough"
  fails_with("cancelled", "enough", task.wait, task)
  fails_with("timeout", "", async.timeout, SHORT, t.wait, t, "a")
end

cases["wait with an old value misses nothing"] = function()
  local t = fresh()
  t:set("a", 2)
  assert.equal(2, t:wait("a", LONG, 1))
  assert.equal(2, t:wait("a", LONG, nil))
  fails_with("timeout", "", t.wait, t, "a", SHORT, 2)
  fails_with("timeout", "", t.wait, t, "b", SHORT, nil)
  local task = async.spawn(t.wait, t, "a", LONG, 2)
  async.checkpoint()
  t:set("a", 2)
  async.checkpoint()
  t:set("a", 3)
  assert.equal(3, task:wait())
  misuse("tables are never the same", t.wait, t, "a", 1, {})
end

-- --- tables -------------------------------------------------------------------------------------

cases["a name is one table, and others are others"] = function()
  local t = fresh()
  local name = "case " .. shared "cases":get "count"
  t:set("a", 1)
  assert.equal(1, shared(name):get "a")
  assert.equal(t, shared(name))
  assert.is_nil(fresh():get "a")
  assert.is_truthy(tostring(t):find("^shared table: " .. name))
end

cases["a table of its own size is full, or evicts"] = function()
  local t = fresh { max_memory = "64k" }
  local count = 0
  local err = fails_with("full", "is full: it has", function()
    while true do
      t:set(count + 1, ("x"):rep(100))
      count = count + 1
    end
  end)
  assert.is_truthy(err.message:find("of 65536", 1, true), err.message)
  assert.is_true(count > 100)
  assert.equal(count, #t:keys())
  local cache = fresh { max_memory = 65536, evict = "lru" }
  for i = 1, 10 * count do
    cache:set(i, ("x"):rep(100))
    cache:get(1)
  end
  assert.equal(100, #cache:get(1))
  assert.equal(100, #cache:get(10 * count))
  assert.is_nil(cache:get(2))
  fails_with("full", "is full", cache.set, cache, "large", ("x"):rep(65536))
end

cases["options are checked"] = function()
  misuse('unknown option "max_memry" (did you mean "max_memory"?)', shared, "a",
    { max_memry = 1 })
  misuse('option "max_memory" is a number of bytes', shared, "a", { max_memory = "many" })
  misuse('option "max_memory" is a number of bytes', shared, "a", { max_memory = -1 })
  misuse('option "evict" is "lru", not fifo', shared, "a", { max_memory = 1, evict = "fifo" })
  misuse('option "evict" needs max_memory', shared, "a", { evict = "lru" })
  fresh { max_memory = 100000 }
  local name = "case " .. shared "cases":get "count"
  assert.is_truthy(shared(name, { max_memory = 100000 }))
  misuse("was made with other options", shared, name, { max_memory = 100001 })
end

cases["misuse is told"] = function()
  local t = fresh()
  misuse("use a colon", t.get, "a")
  misuse("use a colon", t.keys, {})
  misuse("use a colon", t.wait)
  misuse("the name of a table has 1 to 255 bytes", shared, "")
  misuse("the name of a table has 1 to 255 bytes", shared, ("n"):rep(256))
  misuse("string expected", shared)
end

cases["everything but a wait works where nothing can wait"] = function()
  local t = fresh()
  local list = { 3, 1, 2 }
  table.sort(list, function(a, b)
    t:incr "compared"
    t:set(a, b)
    t:update("last", function() return { a, b } end)
    return a < b
  end)
  assert.is_true(t:get "compared" > 0)
  misuse("cannot wait inside", table.sort, { 2, 1 }, function() t:wait "a" end)
end

return cases
