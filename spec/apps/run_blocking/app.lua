-- app.lua - any function on the thread pool: cases.lua in each place, and what only requests show.
--
-- /plain/NAME and /blocking/NAME answer 200 when the case of that name went well, else 500 with
-- what it said.

local async = require "perilune.async"
local cases = require "cases"
local json = require "perilune.json"
local marks = require "marks"
local perilune = require "perilune"

local app = perilune.app {
  name = "run_blocking",
  pools = { one = { threads = 1, queue = 1 }, two = { threads = 1 } },
}

local calls = 0
local function count() calls = calls + 1 return calls end

app.functions = { count = count, calls = function() return calls end, marks = marks }

-- While the app loads a function is sent as code: nothing is known of the others yet.
app.loaded_by = async.run_blocking(function(x) return x .. " in the pool" end, "loaded")

local function run_case(req)
  local ok, err = xpcall(cases[req.params.name], debug.traceback)
  if not ok then return 500, tostring(err) end
  return "went well"
end

app:get("/plain/{name}", run_case)
app:get("/blocking/{name}", perilune.blocking(run_case))
app:get("/loaded_by", function() return app.loaded_by end)

app:get("/greet/{name}", function(req)
  local here = tostring(_G)
  local greeting = "Hello"
  return async.run_blocking(function(mark)
    local text = ("%s, %s%s"):format(greeting, req.params.name, mark)
    return { text = text, app = app.name, is_elsewhere = tostring(_G) ~= here,
      encoded = json.encode { req.query.x } }
  end, "!")
end)

-- The app's own function counts in the state it runs in; a closure takes its number along.
app:get("/counts", function()
  local n = 10
  local function add() n = n + 1 return n end
  local theirs = async.run_blocking({ pool = "one" }, count)
  local copied = async.run_blocking({ pool = "one" }, function() return add() + add() end)
  return { theirs = theirs, ours = calls, copied = copied, n = n }
end)

-- A module that no state has loaded yet: it is required where it is named.
app:get("/modules", function()
  local waits = require "waits"
  local two = { pool = "two" }
  local there = async.run_blocking(two, function() return waits.state() end)
  local name = marks.name_of(waits)
  local same = async.run_blocking(two, function() return require "waits" end) == waits
  return { is_elsewhere = there ~= waits.state(), name = name, same = same }
end)

app:get("/modules_of_pool", function()
  local waits = async.run_blocking(function() return require "waits" end)
  return { same = waits == require "waits", here = waits.state() == tostring(_G) }
end)

app:get("/broken", function()
  _G.is_loop = true
  local broken = require "broken"
  return async.run_blocking(function() return broken end)
end)

app:get("/refused", function()
  local connection = { socket = io.stdout }
  return async.run_blocking(function() return connection end)
end)

app:get("/no_pool", function()
  return async.run_blocking({ pool = "three" }, function() end)
end)

app:get("/fails", function()
  local function culprit() error "deep in the pool" end
  local result = async.run_blocking(function() local x = culprit() return x end)
  return result
end)

app:get("/timed_out", function()
  return async.run_blocking({ timeout = 0.05 }, function() while true do end end)
end)

app:get("/scheduled_timeout", function(req)
  local task = req.tasks:schedule(marks.sleeps)
  local ok, err = pcall(task.wait, task)
  return { ok = ok, kind = err.kind, status = task.status }
end)

app:post("/scheduled", function(req)
  local word = req.body
  local task = req.tasks:schedule(async.run_blocking, function() return word:upper() end)
  return { task:wait() }
end)

return app
