-- app.lua - blocking functions that call blocking functions of other pools, for nested_spec.lua.
--
-- app.functions has those that the spec calls from its own state. The pools a, b and c have one
-- thread each; which thread has run is told by its globals and when its state was made.

local perilune = require "perilune"
local async = require "perilune.async"
local log = require "perilune.log"

local app = perilune.app {
  name = "nested",
  pools = {
    a = { threads = 1 }, b = { threads = 1 }, c = { threads = 1 },
    narrow = { threads = 1, queue = 1 }, wide = { threads = 3 },
    tasks = { threads = 2 },
  },
}

local blocking = perilune.blocking
local f = {}
app.functions = f

local born = async.now()
local function state() return ("%s %.9f"):format(_G, born) end

f.in_a = blocking({ pool = "a" }, function(fn, ...) return fn(...) end)
f.in_b = blocking({ pool = "b" }, function(fn, ...) return fn(...) end)
f.in_c = blocking({ pool = "c" }, function(fn, ...) return fn(...) end)
f.in_wide = blocking({ pool = "wide" }, function(fn, ...) return fn(...) end)
f.state = blocking(state)
f.wide_state = blocking({ pool = "wide" }, state)

f.of_b = blocking({ pool = "b" }, state)
function f.run_in_a(fn) return state(), async.run_blocking({ pool = "a" }, fn) end

--- A walk over pools by name, one inside the other.
function f.walk(names, index)
  index = index or 1
  local name = names[index]
  if not name then return {} end
  return f["in_" .. name](function(rest, at)
    local states = f.walk(rest, at)
    table.insert(states, 1, state())
    return states
  end, names, index + 1)
end

f.walk_loops = perilune.background("nested", function(names)
  return f.walk(names), state()
end)
f.through_loop = blocking({ pool = "a" }, function(names)
  local states = f.walk_loops(names)
  table.insert(states, 1, state())
  return states
end)

--- Computations at once inside one call: how many states took part, and what they gave.
f.compute = blocking({ pool = "wide" }, function(n)
  local sum = 0
  for i = 1, n do sum = (sum + i) % 1000003 end
  return sum, state()
end)
f.fan_out = blocking({ pool = "wide" }, function(list)
  local states, seen = {}, 0
  local sums = async.map(list, function(n)
    local sum, where = f.compute(n)
    if not states[where] then states[where], seen = true, seen + 1 end
    return sum
  end)
  return seen, sums
end)

f.fails = blocking({ pool = "b" }, function() error "deep in b" end)
f.calls_failing = blocking({ pool = "a" }, function()
  local result = f.fails()
  return result
end)

app:get("/failing", f.calls_failing)

f.context = blocking({ pool = "b" }, function()
  log.info("seen in b", { user = perilune.context.user })
  return perilune.context.user
end)
app:get("/context", blocking({ pool = "a" }, function()
  perilune.context.user = "ann"
  return { user = f.context() }
end))

--- A body that is read, and a response that is written, by the thread of a further pool.
f.read = blocking({ pool = "b" }, function(req)
  local pieces = {}
  for piece in req:chunks() do pieces[#pieces + 1] = piece end
  return table.concat(pieces), req:is_disconnected()
end)
app:post("/body", { stream_body = true }, blocking({ pool = "a" }, function(req)
  local body, has_left = f.read(req)
  return { body = body, has_left = has_left }
end))

f.stream = blocking({ pool = "b" }, function(count)
  return perilune.stream({ headers = { ["X-State"] = state() } }, function(write)
    for i = 1, count do write(i .. "\n") end
    write(state())
  end)
end)
app:get("/stream/{count:int}", blocking({ pool = "a" }, function(req)
  return f.stream(req.params.count)
end))
app:get("/dropped", blocking({ pool = "a" }, function()
  f.stream(3)
  return "another"
end))

local function exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end
f.hold = blocking({ pool = "narrow" }, function(path)
  local file <close> = assert(io.open(path, "w"))
  file:write "running"
  file:flush()
  while exists(path) do async.sleep(0.001) end
end)
app:get("/full", blocking({ pool = "a" }, function(req)
  f.hold(req.query.path)
  return "held"
end))

--- Fills the memory of the state; up to a number of bytes, what does so is kept.
local function used_bytes(enough)
  if collectgarbage "count" * 1024 >= enough then collectgarbage() end
  return collectgarbage "count" * 1024
end
f.fill = blocking({ pool = "narrow" }, function(bytes)
  local kept = {}
  _G.kept = bytes and kept
  while used_bytes(bytes or math.huge) < (bytes or math.huge) do
    kept[#kept + 1] = ("x"):rep(1000) .. #kept
  end
  return state()
end)
f.kept = blocking({ pool = "narrow" }, function() return _G.kept ~= nil, state() end)
app:get("/fill", function()
  local running = async.spawn(f.fill)
  local queued = async.spawn(f.kept) -- waits behind it
  local _, err = pcall(running.wait, running)
  local kept, where = queued:wait()
  return { kind = err.kind, message = err.message, kept = kept, state = where }
end)
app:get("/fill/{bytes:int}", function(req)
  return { state = f.fill(req.params.bytes) }
end)
app:get("/kept", function()
  local kept, where = f.kept()
  return { kept = kept, state = where }
end)
app:get("/fails", function() return f.fill() end)

app:get("/thousand", function(req)
  local tasks, states, count = {}, {}, 0
  for i = 1, 1000 do tasks[i] = req.tasks:schedule(f.state) end
  for i = 1, 1000 do
    local where = tasks[i]:wait()
    if not states[where] then states[where], count = true, count + 1 end
  end
  return { states = count }
end)

return app
