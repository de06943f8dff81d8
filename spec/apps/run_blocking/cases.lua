-- cases.lua - what async.run_blocking does wherever it is called: in a spec, on a loop, in a pool.
--
-- In a thread of the pool it runs the function right there; nothing here tells the difference.

local async = require "perilune.async"
local json = require "perilune.json"
local perilune = require "perilune"

local cases = {}

local function equal(expected, got, what)
  if expected == got then return end
  error(("%s: %s, not %s"):format(what or "got", tostring(got), tostring(expected)), 2)
end

local function fails(kind, part, fn, ...)
  local ok, err = pcall(fn, ...)
  if ok then error("it did not fail", 2) end
  equal(kind, type(err) == "table" and err.kind or nil, tostring(err))
  if not tostring(err):find(part, 1, true) then
    error(("no %q in %q"):format(part, tostring(err)), 2)
  end
  return err
end

cases["gives the results, holes and all"] = function()
  local got = table.pack(async.run_blocking(function(...)
    return select("#", ...), ...
  end, 1, nil, "x", nil))
  equal(5, got.n)
  equal(4, got[1])
  equal(1, got[2])
  equal(nil, got[3])
  equal("x", got[4])
  equal(0, select("#", async.run_blocking(function() end)))
end

cases["keeps numbers what they are"] = function()
  local function back(...) return ... end
  for _, value in ipairs { 0, -1, math.maxinteger, math.mininteger, 1 << 53, 0.5, 1.0, -0.0,
    math.huge, -math.huge, 5e-324 } do
    local got = async.run_blocking(back, value)
    equal(value, got)
    equal(math.type(value), math.type(got))
  end
  equal(-math.huge, 1 / async.run_blocking(back, -0.0))
  local nan = async.run_blocking(back, 0 / 0)
  equal(true, nan ~= nan)
  local t = async.run_blocking(back, { [1] = "integer", [1.5] = "float", [-1] = "negative" })
  equal("integer", t[1])
  equal("float", t[1.5])
  equal("negative", t[-1])
end

cases["keeps strings, null, marks, cycles and shared tables"] = function()
  local bytes = {}
  for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
  local all = table.concat(bytes)
  local shared = { all }
  local sent = { shared, shared, null = perilune.null, list = json.array {} }
  sent.self = sent
  local got = async.run_blocking(function(t)
    t.back = function() return t.list end
    return t
  end, sent)
  equal(all, got[1][1])
  equal(got[1], got[2])
  equal(got, got.self)
  equal(perilune.null, got.null)
  equal("[]", json.encode(got.back()))
  equal(got.list, got.back())
end

cases["takes upvalues along"] = function()
  local n, list, none = 3, { 1, 2 }, nil
  local function double(x) return x * 2 end
  local function fib(k) return k < 2 and k or fib(k - 1) + fib(k - 2) end
  local got = table.pack(async.run_blocking(function(x)
    return double(n) + x, #list, none, fib(10), json.encode(list)
  end, 10))
  equal(16, got[1])
  equal(2, got[2])
  equal(nil, got[3])
  equal(55, got[4])
  equal("[1,2]", got[5])
end

cases["takes functions as arguments and gives them as results"] = function()
  local function apply(f, ...) return f(...), f end
  local value, f = async.run_blocking(apply, string.upper, "x")
  equal("X", value)
  equal(string.upper, f)
  local by = 5
  local sum, add = async.run_blocking(apply, function(n) return n + by end, 1)
  equal(6, sum)
  equal(7, add(2))
end

cases["runs functions of the language"] = function()
  equal("ababab", async.run_blocking(string.rep, "ab", 3))
  equal(3, async.run_blocking(math.max, 1, 3, 2))
end

cases["may wait, spawn and gather"] = function()
  local sum = async.run_blocking(function()
    local a, b = async.gather(
      function() async.sleep(0.001) return 1 end,
      function() async.checkpoint() return 2 end)
    return a + b + async.spawn(function() return 4 end):wait()
  end)
  equal(7, sum)
end

cases["runs inside itself"] = function()
  local function down(n)
    if n == 0 then return "bottom" end
    return async.run_blocking(down, n - 1)
  end
  equal("bottom", async.run_blocking(down, 5))
end

cases["works in spawned tasks and in coroutines"] = function()
  local function spawned() return async.run_blocking(function() return "spawned" end) end
  local task = async.spawn(spawned)
  equal("spawned", task:wait())
  local results = table.pack(async.gather(
    { async.run_blocking, function(n) return n + 1 end, 1 },
    { async.run_blocking, function(n) return n + 1 end, 2 }))
  equal(2, results[1])
  equal(3, results[2])
  for n in coroutine.wrap(function()
    for i = 1, 3 do coroutine.yield(async.run_blocking(function(x) return x * x end, i)) end
  end) do
    equal(true, n == 1 or n == 4 or n == 9)
  end
end

cases["raises what the function raises"] = function()
  local _, err = pcall(async.run_blocking, function() error("plain", 0) end)
  equal("plain", err)
  _, err = pcall(async.run_blocking, function() error "with its line" end)
  equal(true, err:find "cases.lua:%d+: with its line$" ~= nil, err)
  _, err = pcall(async.run_blocking, function() error { code = 7, inner = { "x" } } end)
  equal(7, err.code)
  equal("x", err.inner[1])
  fails("abort", "404", async.run_blocking, function() perilune.abort(404, "no such thing") end)
  local n = 1
  _, err = pcall(async.run_blocking, function() error { f = function() return n end } end)
  equal(1, err.f())
end

cases["ends with kind timeout when its time is over"] = function()
  local function compute() while true do pcall(string.rep, "x") end end
  fails("timeout", "timeout after 0.05 s", async.run_blocking, { timeout = 0.05 }, compute)
  fails("timeout", "timeout after 0.05 s", async.run_blocking, { timeout = 0.05 }, async.sleep, 60)
  fails("timeout", "timeout after 0.05 s", async.timeout, 0.05, async.run_blocking, compute)
  equal("in time", async.run_blocking({ timeout = 60 }, function() return "in time" end))
  local _, err = pcall(async.run_blocking, { timeout = 60 }, error, "another")
  equal("another", err)
end

cases["is cancelled with its caller"] = function()
  local task = async.spawn(async.run_blocking, function() async.sleep(60) end)
  async.checkpoint()
  task:cancel "enough"
  fails("cancelled", "", task.wait, task)
  equal("again", async.run_blocking(function() return "again" end))
end

cases["runs marked functions"] = function()
  equal("marked", async.run_blocking(require("marks").plain, "marked"))
  equal("marked", async.run_blocking({ pool = "two" }, require("marks").plain, "marked"))
end

cases["checks what it is given"] = function()
  local function misused(part, ...)
    local err = fails(nil, part, async.run_blocking, ...)
    equal("string", type(err))
  end
  misused "(function expected, got no value)"
  misused("(function expected, got nil)", nil, print)
  misused("(function expected, got string)", "print")
  misused("bad argument #2", {})
  misused("(function expected, got table)", {}, {})
  misused('unknown option "tiemout" (did you mean "timeout"?)', { tiemout = 1 }, print)
  misused('option "pool" is a string, not a number', { pool = 1 }, print)
  misused('option "timeout" is a number of seconds above 0, not x', { timeout = "x" }, print)
  misused('option "timeout" is a number of seconds above 0, not 0', { timeout = 0 }, print)
  misused('option "timeout" is a number of seconds above 0, not', { timeout = 0 / 0 }, print)
  local _, err = pcall(function() return (async.run_blocking({ pol = "x" }, print)) end)
  equal(true, err:find "cases.lua:%d+: unknown option" ~= nil, err)
end

return cases
