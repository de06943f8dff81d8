-- app.lua - blocking functions of every sort, for blocking_spec.lua to call and to ask for.
--
-- app.functions has them all: the spec calls them from its own state, where the app is loaded too.
-- What holds a thread says so by writing into a file and goes on when that is gone.

local perilune = require "perilune"
local async = require "perilune.async"
local json = require "perilune.json"
local factory = require "factory"

local app = perilune.app {
  name = "blocking",
  pools = { one = { threads = 1, queue = 1 }, two = { threads = 2 }, big = { threads = 4 } },
}

local blocking = perilune.blocking
local f = { double = factory.double, triple = factory.triple, named = factory.named }
app.functions = f

local globals = _G
globals.calls = 0
local hidden_calls = 0

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

local function exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

--- Says that it runs, then waits or computes until the file is gone.
local function hold(path, pause)
  write(path, "running")
  while exists(path) do
    if pause then async.sleep(0.001) end
  end
  return "let go"
end

f.echo = blocking(function(...) return ... end)
f.count = blocking(function(...) return select("#", ...) end)
f.nothing = blocking(function() end)
f.types = blocking(function(...)
  local result = { n = select("#", ...) }
  for i = 1, result.n do
    local value = (select(i, ...))
    result[i] = math.type(value) or (value == perilune.null and "null") or type(value)
  end
  return result
end)
f.shape = blocking(function(t) return t.self == t, t.left == t.right, t.left.up == t end)
f.encode = blocking(function(value) return json.encode(value) end)
f.decode = blocking(function(text) return json.decode(text) end)

f.fail = blocking(function(what) error(what, 0) end)
f.fail_here = blocking(function(text) error(text) end)
f.fail_object = blocking(function()
  error(setmetatable({ code = 7 }, { __tostring = function(e) return "code " .. e.code end }))
end)
f.fail_together = blocking(function(name)
  async.gather(function() async.checkpoint() error({ name = name }) end, function()
    pcall(async.sleep, 60)
    error(name .. " too", 0)
  end)
end)
f.map_double = blocking(function(list)
  return async.map(list, function(x) return x and 2 * x end, { limit = 2 })
end)
f.fail_strangely = blocking(function()
  error { code = 7, where = coroutine.wrap(print), print = print, deep = { io.stdout } }
end)
f.abort = blocking(function(...) perilune.abort(...) end)
f.time_out = blocking(function() async.timeout(0.001, async.sleep, 60) end)
f.return_function = blocking(function() return 1, { deep = { coroutine.wrap(print) } } end)
f.call = blocking(function(fn, ...) return fn(...) end)
f.return_thread = blocking(function() return coroutine.create(print) end)

local function culprit() error "deep down" end
f.fail_deep = blocking(function()
  culprit()
  return "no tail call"
end)

f.add_call = blocking({ pool = "one" }, function()
  globals.calls, hidden_calls = globals.calls + 1, hidden_calls + 1
  return globals.calls, hidden_calls
end)
function f.calls_here() return globals.calls, hidden_calls end
f.state = blocking(function() return tostring(_G) end)
f.state_below = blocking(function() return tostring(_G), f.state(), f.state_of_two() end)
f.state_of_two = blocking({ pool = "two" }, function() return tostring(_G) end)
f.nested = blocking(function(depth)
  if depth == 0 then error("bottom", 0) end
  return f.nested(depth - 1)
end)
f.passed = blocking(function(...)
  local results = table.pack(f.echo(...))
  return select("#", ...), results.n, ...
end)

f.hold = blocking({ pool = "one" }, function(path) return hold(path, true) end)
f.compute = blocking({ pool = "one" }, function(path) return hold(path, false) end)
f.stubborn = blocking({ pool = "one" }, function(path)
  while true do pcall(hold, path, false) end
end)
f.quick = blocking({ pool = "one" }, function() return "quick" end)
f.leave_children = blocking({ pool = "one" }, function(path)
  local function child()
    local _ <close> = setmetatable({}, { __close = function() os.remove(path) end })
    write(path, "child")
    async.sleep(60)
  end
  async.spawn(child)
  while not exists(path) do async.checkpoint() end
  return "parent ended"
end)
f.meet = blocking({ pool = "big" }, function(mine, other)
  write(mine, "here")
  while not exists(other) do async.sleep(0.001) end
  return "met"
end)

app:get("/plain", function() return "plain" end)
app:get("/quick", f.quick)
app:get("/hold", blocking({ pool = "one" }, function(req) return hold(req.query.path, true) end))
app:get("/compute", blocking({ pool = "big" }, function(req)
  return hold(req.query.path, false)
end))
app:get("/fail", function()
  f.fail_deep()
  return "no tail call"
end)
app:get("/abort", function() f.abort(418, "teapot", { ["X-A"] = "1" }) end)
app:get("/full", function() return f.quick() end)
app:get("/mark", function()
  local marked = blocking(function() end)
  return marked()
end)
app:get("/late", function() return require("factory_late")() end)
app:get("/calls", function()
  local global, hidden = f.add_call()
  return { global, hidden, f.calls_here() }
end)

return app
