-- app.lua - work for the processor: on the loop, on the pool, in time or not at all.
--
-- Threads of a pool have Lua states of their own and no lock in common: on two cores two calls take
-- the time of one. Running Lua code can be timed out and cancelled, also where it never waits.

local async = require "perilune.async"
local perilune = require "perilune"

local app = perilune.app { name = "crunch" }

local ROUNDS_MAX = 1000000000

local function crunch(rounds)
  local hash = 0
  for i = 1, rounds do hash = (hash * 31 + i) % 4294967291 end
  return hash
end

local crunch_on_pool = perilune.blocking(crunch)

local function count(req, name, default, most)
  local value = math.tointeger(tonumber(req.query[name] or default))
  if not value or value < 1 or value > most then
    perilune.abort(400, ("%s: a whole number from 1 to %d"):format(name, most))
  end
  return value
end

local function rounds(req) return count(req, "rounds", 1000000, ROUNDS_MAX) end

-- On the loop everybody waits for it; past 0.1 s the watchdog says so, with the line above.
app:get("/loop", function(req)
  return { hash = crunch(rounds(req)) }
end)

-- Called from a coroutine it runs on another core, and the loop goes on.
app:get("/pool", function(req)
  return { hash = crunch_on_pool(rounds(req)) }
end)

-- Several at once, on as many cores as there are.
app:get("/parallel", function(req)
  local calls = {}
  for i = 1, count(req, "calls", 4, 100) do calls[i] = { crunch_on_pool, rounds(req) } end
  local begun = async.now()
  local hashes = async.gather(calls)
  return { hashes = hashes, seconds = async.now() - begun }
end)

app:get("/sequence", function(req)
  local hashes, begun = {}, async.now()
  for i = 1, count(req, "calls", 4, 100) do hashes[i] = crunch_on_pool(rounds(req)) end
  return { hashes = hashes, seconds = async.now() - begun }
end)

-- A list of numbers is copied to the pool, and a closure with it: no function needs a mark.
app:get("/sum", function(req)
  local numbers = {}
  for i = 1, count(req, "numbers", 1000000, 1000000) do numbers[i] = i end
  local begun = async.now()
  local sum = async.run_blocking(function()
    local sum = 0
    for _, number in ipairs(numbers) do sum = sum + number end
    return sum
  end)
  return { sum = sum, seconds = async.now() - begun }
end)

-- In time or not at all: the loop of crunch is interrupted, wherever it runs.
app:get("/in_time", function(req)
  local where = req.query.where == "loop" and crunch or crunch_on_pool
  local ok, hash = pcall(async.timeout, 0.05, where, rounds(req))
  if ok then return { hash = hash } end
  return 503, { detail = ("no result in time: %s"):format(hash.kind) }
end)

return app
